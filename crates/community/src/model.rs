//! The nouns: what is shown, and what is accepted.

mod comments;
mod courses;
mod events;
mod groups;
mod people;
mod posts;

use guildhall_kernel::define_id;

pub use comments::{Comment, CommentPatch, NewComment};
pub use courses::{
    Course, CourseFilter, CourseIds, CoursePatch, Enrolment, Learner, Lesson, LessonPatch, LessonSummary, NewCourse,
    NewLesson, NewSection, Section, SectionPatch,
};
pub use events::{
    Answer, Attendance, Attendee, AttendeeFilter, Event, EventFilter, EventPatch, NewEvent, NewRsvp, Rsvp, When,
};
pub use groups::{
    CategoryCount, Deletion, Group, GroupFilter, GroupPatch, NewGroup, PictureKind, PictureUrls, Posting,
};
pub(crate) use groups::{GroupRow, SeenRow};
pub(crate) use people::InviteState;
pub use people::{
    Ban, Follow, Invitation, Invite, InviteStatus, IssuedInvite, JoinRequest, Joined, LogEntry, Member, MemberFilter,
    Membership, MembershipFilter, NewBan, NewInvite, RequestStatus,
};
pub(crate) use posts::PostRow;
pub use posts::{
    Attachment, Draft, FeedFilter, FeedType, LinkPreview, NewPoll, NewPost, NewReport, Poll, PollOption, Post,
    PostCategory, PostPatch, Report, ReportStatus, SearchResults, Verdict, Visibility, Vote,
};

define_id!(
    /// A group.
    GroupId
);
define_id!(
    /// A request to be let into a group.
    RequestId
);
define_id!(
    /// An invite into a group.
    InviteId
);
define_id!(
    /// A post.
    PostId
);
define_id!(
    /// A comment on a post.
    CommentId
);
define_id!(
    /// A file with a post.
    AttachmentId
);
define_id!(
    /// That something is wrong with a post or a comment.
    ReportId
);
define_id!(
    /// A post that is not posted yet.
    DraftId
);
define_id!(
    /// A course.
    CourseId
);
define_id!(
    /// A part of a course.
    SectionId
);
define_id!(
    /// A lesson of a course.
    LessonId
);
define_id!(
    /// An event.
    EventId
);

/// Text of which at most this many characters are taken.
pub(crate) const LONGEST_TEXT: usize = 50_000;
