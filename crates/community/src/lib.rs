#![doc = include_str!("../README.md")]

mod admin;
mod calendar;
mod compat;
mod entity;
mod error;
pub mod event;
mod markdown;
mod migrations;
mod model;
mod picture;
mod preview;
mod routes;
mod search;
mod service;
mod settings;
mod sql;

pub use admin::admin;
pub use entity::membership::Role;
pub use error::{Error, Result};
pub use migrations::migrations;
pub(crate) use model::InviteState;
pub use model::{
    Answer, Attachment, AttachmentId, Attendance, Attendee, AttendeeFilter, Ban, CategoryCount, Comment, CommentId,
    CommentPatch, Course, CourseFilter, CourseId, CourseIds, CoursePatch, Deletion, Draft, DraftId, Enrolment, Event,
    EventFilter, EventId, EventPatch, FeedFilter, FeedType, Follow, Group, GroupFilter, GroupId, GroupPatch,
    Invitation, Invite, InviteId, InviteStatus, IssuedInvite, JoinRequest, Joined, Learner, Lesson, LessonId,
    LessonPatch, LessonSummary, LinkPreview, LogEntry, Member, MemberFilter, Membership, MembershipFilter, NewBan,
    NewComment, NewCourse, NewEvent, NewGroup, NewInvite, NewLesson, NewPoll, NewPost, NewReport, NewRsvp, NewSection,
    PictureKind, PictureUrls, Poll, PollOption, Post, PostCategory, PostId, PostPatch, Posting, Report, ReportId,
    ReportStatus, RequestId, RequestStatus, Rsvp, SearchResults, Section, SectionId, SectionPatch, Verdict, Visibility,
    Vote, When,
};
pub use routes::{CommunityState, openapi, router};
pub use service::*;
pub use settings::Settings;
pub use sql::{Host, Removal, SqlCommunity, UserTable};
