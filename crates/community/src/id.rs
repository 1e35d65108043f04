//! Ids.

use guildhall_kernel::define_id;

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
