//! The scenarios, which run on the server and on the floor.

use clap::ValueEnum;
use hyper::StatusCode;
use serde::Serialize;

/// A kind of request, sent by every connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// Sign in, each connection as a different user
    SignIn,
    /// Refresh tokens, each connection its own
    Refresh,
    /// The caller's account
    Me,
    /// The first 20 users
    Users,
    /// The newest 20 groups
    Groups,
    /// A group, a different one of the first thousand each time
    Group,
    /// The newest 20 public posts
    GlobalFeed,
    /// The newest 20 posts of the caller's groups
    Feed,
    /// The newest 20 posts visible to the caller
    Home,
    /// Search for a word that is in one post of ten thousand
    Search,
    /// Search for a word that is in one post of a hundred
    SearchUncommon,
    /// Search for a word that is in half of the posts
    SearchCommon,
    /// React to a post, a different one of some thousands each time
    React,
    /// Create posts in the caller's groups in turn
    CreatePost,
    /// Create groups
    CreateGroup,
    /// Create a group and delete it, counted as one request
    DeleteGroup,
    /// The newest 20 deals
    Deals,
    /// The newest 20 of the caller's deals in a stage
    DealsFiltered,
    /// The 20 deals with the highest value in a currency
    DealsByValue,
    /// A deal, a different one each time
    Deal,
    /// Search deals by number
    DealSearch,
    /// Search clients, contacts and deals
    SearchAll,
    /// The board: 50 deals of each stage, with totals
    Board,
    /// The value of the deals in each stage
    PipelineReport,
    /// The revenue of two years by month
    Revenue,
    /// Create deals
    CreateDeal,
    /// Record payments, each with an idempotency key
    Pay,
    /// The number of unread messages
    UnreadCount,
    /// The 20 conversations with the newest messages
    Inbox,
    /// The newest 50 messages of a conversation, a different one each time
    History,
    /// Send direct messages, to a different person each time
    SendMessage,
    /// The start page, with the newest posts
    HomePage,
    /// The page of a post, a different one each time
    PostPage,
    /// The page with the groups
    GroupsPage,
    /// The page with the conversations
    InboxPage,
    /// The page of a conversation, a different one each time
    ConversationPage,
    /// The page of the board
    BoardPage,
    /// The page with the results of a search in everything
    SearchPage,
}

impl Scenario {
    /// The scenarios of a run. Those that create rows are last, so that the lists keep their size.
    pub const ALL: [Self; 24] = [
        Self::SignIn,
        Self::Refresh,
        Self::Me,
        Self::Users,
        Self::Groups,
        Self::Group,
        Self::GlobalFeed,
        Self::Feed,
        Self::Home,
        Self::Search,
        Self::SearchUncommon,
        Self::SearchCommon,
        Self::Deals,
        Self::Deal,
        Self::UnreadCount,
        Self::Inbox,
        Self::History,
        Self::CreateDeal,
        Self::Pay,
        Self::SendMessage,
        Self::React,
        Self::CreatePost,
        Self::CreateGroup,
        Self::DeleteGroup,
    ];
    /// The scenarios about deals.
    pub const DEALS: [Self; 11] = [
        Self::Deals,
        Self::DealsFiltered,
        Self::DealsByValue,
        Self::Deal,
        Self::DealSearch,
        Self::SearchAll,
        Self::Board,
        Self::PipelineReport,
        Self::Revenue,
        Self::CreateDeal,
        Self::Pay,
    ];
    /// The scenarios about messages.
    pub const MESSAGES: [Self; 4] = [Self::UnreadCount, Self::Inbox, Self::History, Self::SendMessage];

    /// The scenarios about pages for people.
    pub const PAGES: [Self; 7] = [
        Self::HomePage,
        Self::PostPage,
        Self::GroupsPage,
        Self::InboxPage,
        Self::ConversationPage,
        Self::BoardPage,
        Self::SearchPage,
    ];

    /// Whether the floor has it.
    pub fn has_floor(self) -> bool {
        !Self::MESSAGES.contains(&self) && !Self::PAGES.contains(&self)
    }

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign in",
            Self::Refresh => "refresh",
            Self::Me => "own account",
            Self::Users => "20 people",
            Self::Groups => "20 groups",
            Self::Group => "a group",
            Self::GlobalFeed => "20 public posts",
            Self::Feed => "20 posts of own groups",
            Self::Home => "20 visible posts",
            Self::Search => "search, rare word",
            Self::SearchUncommon => "search, uncommon word",
            Self::SearchCommon => "search, common word",
            Self::React => "react",
            Self::CreatePost => "post",
            Self::CreateGroup => "create a group",
            Self::DeleteGroup => "create and delete a group",
            Self::Deals => "20 deals",
            Self::DealsFiltered => "20 own deals of a stage",
            Self::DealsByValue => "20 deals by value",
            Self::Deal => "a deal",
            Self::DealSearch => "search deals, a number",
            Self::SearchAll => "search everything",
            Self::Board => "board",
            Self::PipelineReport => "pipeline report",
            Self::Revenue => "revenue report",
            Self::CreateDeal => "create a deal",
            Self::Pay => "record a payment",
            Self::UnreadCount => "unread messages",
            Self::Inbox => "20 conversations",
            Self::History => "50 messages",
            Self::SendMessage => "send a message",
            Self::HomePage => "start page",
            Self::PostPage => "page of a post",
            Self::GroupsPage => "page of groups",
            Self::InboxPage => "page of conversations",
            Self::ConversationPage => "page of a conversation",
            Self::BoardPage => "page of the board",
            Self::SearchPage => "page of a search",
        }
    }

    /// Whether it only reads. Signing in and refreshing tokens write to the session.
    pub fn is_read(self) -> bool {
        !matches!(
            self,
            Self::SignIn
                | Self::Refresh
                | Self::React
                | Self::CreatePost
                | Self::CreateGroup
                | Self::DeleteGroup
                | Self::CreateDeal
                | Self::Pay
                | Self::SendMessage
        )
    }

    /// The expected status.
    pub(crate) fn expected(self) -> StatusCode {
        match self {
            Self::CreatePost | Self::CreateGroup | Self::CreateDeal | Self::Pay | Self::SendMessage => {
                StatusCode::CREATED
            }
            Self::React | Self::DeleteGroup => StatusCode::NO_CONTENT,
            _ => StatusCode::OK,
        }
    }
}
