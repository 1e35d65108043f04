//! Inputs, patches, filters and views.

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
pub(crate) use groups::{GroupRow, GroupWithRole};
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
    /// A request to join a group.
    RequestId
);
define_id!(
    /// An invite to a group.
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
    /// A file attached to a post.
    AttachmentId
);
define_id!(
    /// A report about a post or a comment.
    ReportId
);
define_id!(
    /// A draft of a post.
    DraftId
);
define_id!(
    /// A course.
    CourseId
);
define_id!(
    /// A section of a course.
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

/// The maximum length of long texts, in characters.
pub(crate) const MAX_TEXT_LENGTH: usize = 50_000;
