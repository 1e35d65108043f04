//! How the processes of an installation notify each other of new events.

mod postgres;

use std::{fmt::Write, future, sync::Arc};

use async_trait::async_trait;
use axum::extract::ws::Utf8Bytes;
use guildhall_kernel::UserId;

pub use self::postgres::PostgresBus;
use crate::{Frame, Seq, StreamName, Version};

/// The longest event that is sent with its content, in bytes; the others read a longer one from the database.
const MAX_BODY: usize = 64 * 1024;
/// The longest transient event that other processes get, in bytes.
const MAX_TRANSIENT: usize = 4 * 1024;

/// Something that other processes should know. It may be lost, repeated or overtaken: the database has the events, and
/// each process compares its streams with it regularly.
#[derive(Clone, Debug)]
pub enum Notice {
    /// An event was appended.
    Appended {
        /// The stream.
        stream: StreamName,
        /// The event.
        frame: Arc<Frame>,
    },
    /// An event was appended, whose content has to be read from the database.
    Announced {
        /// The stream.
        stream: StreamName,
        /// The number of the event.
        seq: Seq,
    },
    /// Something that is not stored.
    Transient {
        /// The stream.
        stream: StreamName,
        /// A JSON object.
        body: Utf8Bytes,
        /// The user who does not get it.
        except: Option<UserId>,
    },
    /// The state of something that is not stored with the stream.
    Value {
        /// The stream.
        stream: StreamName,
        /// Its name in the stream, without spaces.
        name: String,
        /// Its version.
        version: Version,
        /// A JSON object.
        body: Utf8Bytes,
    },
    /// Who has begun or ceased to follow which streams over a process. It fits into a notification of PostgreSQL if it
    /// names at most 100 followers.
    Followers {
        /// A random number, which distinguishes the process from others.
        process: u64,
        /// Those who follow a stream over it.
        joined: Vec<(StreamName, UserId)>,
        /// Those who no longer do.
        left: Vec<(StreamName, UserId)>,
    },
    /// A stream was deleted.
    Deleted {
        /// The stream.
        stream: StreamName,
    },
    /// A session or a token of a user may have ended, or their roles have changed.
    Ended {
        /// The user.
        user: UserId,
    },
}

/// What a bus reports to its process.
#[derive(Debug)]
pub enum Arrival {
    /// A notice of another process.
    Notice(Notice),
    /// From now on notices are exchanged. Those from before may have been lost.
    Connected,
    /// Notices are lost until [`Connected`](Self::Connected).
    Disconnected,
}

/// Takes what a bus reports.
pub type Arrive<'a> = &'a (dyn Fn(Arrival) + Send + Sync);

/// Exchanges notices with the other processes.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Sends a notice to the other processes, without waiting. It is dropped if too many wait to be sent.
    fn send(&self, notice: Notice);

    /// Whether there may be other processes.
    fn has_peers(&self) -> bool {
        true
    }

    /// Waits until what was sent has left this process, before it ends. The caller sets the deadline.
    async fn flush(&self) {}

    /// Sends and receives until it is dropped. Connects by itself, also after the connection was lost.
    async fn run(&self, arrive: Arrive<'_>);
}

/// The bus of an installation with one process: there is nobody to send to.
pub struct SingleProcess;

#[async_trait]
impl Bus for SingleProcess {
    fn send(&self, _: Notice) {}

    fn has_peers(&self) -> bool {
        false
    }

    async fn run(&self, arrive: Arrive<'_>) {
        arrive(Arrival::Connected);
        future::pending::<()>().await;
    }
}

#[async_trait]
impl<T: Bus + ?Sized> Bus for Arc<T> {
    fn send(&self, notice: Notice) {
        (**self).send(notice);
    }

    fn has_peers(&self) -> bool {
        (**self).has_peers()
    }

    async fn flush(&self) {
        (**self).flush().await;
    }

    async fn run(&self, arrive: Arrive<'_>) {
        (**self).run(arrive).await;
    }
}

impl Notice {
    /// The notice as one line; `None` if it is too long for other processes. A long event is only announced.
    pub fn encode(&self) -> Option<String> {
        let user = |user: Option<UserId>| user.map_or(0, |user| user.0);
        match self {
            Self::Appended { stream, frame } if frame.body().len() > MAX_BODY => {
                Self::Announced { stream: stream.clone(), seq: frame.seq }.encode()
            }
            Self::Appended { stream, frame } => {
                Some(format!("appended {stream} {} {} {}", frame.seq, user(frame.removes), frame.body()))
            }
            Self::Announced { stream, seq } => Some(format!("announced {stream} {seq}")),
            Self::Transient { body, .. } | Self::Value { body, .. } if body.len() > MAX_TRANSIENT => None,
            Self::Transient { stream, body, except } => Some(format!("transient {stream} {} {body}", user(*except))),
            Self::Value { stream, name, version: Version(first, second), body } => {
                Some(format!("value {stream} {name} {first} {second} {body}"))
            }
            Self::Followers { process, joined, left } => {
                Some(format!("followers {process} {} {}", followers(joined), followers(left)))
            }
            Self::Deleted { stream } => Some(format!("deleted {stream}")),
            Self::Ended { user } => Some(format!("ended {user}")),
        }
    }

    /// The notice of a line; `None` if it is not one, or one of a newer version.
    pub fn decode(line: &str) -> Option<Self> {
        let (kind, rest) = line.split_once(' ')?;
        let user = |id: &str| id.parse().ok().map(|id| Some(UserId(id)).filter(|user| user.0 != 0));
        let body = |text: &str| (text.starts_with('{') && text.ends_with('}')).then(|| Utf8Bytes::from(text));
        if kind == "ended" {
            return Some(Self::Ended { user: user(rest)?? });
        }
        if kind == "deleted" {
            return Some(Self::Deleted { stream: rest.parse().ok()? });
        }
        if kind == "followers" {
            let mut parts = rest.splitn(3, ' ');
            let process = parts.next()?.parse().ok()?;
            let (joined, left) = (read_followers(parts.next()?)?, read_followers(parts.next()?)?);
            return Some(Self::Followers { process, joined, left });
        }
        let (stream, rest) = rest.split_once(' ')?;
        let stream = stream.parse().ok()?;
        match kind {
            "appended" => {
                let mut parts = rest.splitn(3, ' ');
                let (seq, removes) = (parts.next()?.parse().ok()?, user(parts.next()?)?);
                Some(Self::Appended { stream, frame: Frame::new(seq, body(parts.next()?)?, removes) })
            }
            "announced" => Some(Self::Announced { stream, seq: rest.parse().ok()? }),
            "transient" => {
                let (except, text) = rest.split_once(' ')?;
                Some(Self::Transient { stream, except: user(except)?, body: body(text)? })
            }
            "value" => {
                let mut parts = rest.splitn(4, ' ');
                let name = parts.next()?.to_owned();
                let version = Version(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
                Some(Self::Value { stream, name, version, body: body(parts.next()?)? })
            }
            _ => None,
        }
    }
}

/// Streams and the ids of users, `room/7:1,22;room/8:1`; `-` for none.
fn followers(followers: &[(StreamName, UserId)]) -> String {
    let mut text = String::new();
    let mut last = None;
    for (stream, user) in followers {
        // Writing to a `String` does not fail.
        let _ = match last {
            Some(last) if last == stream => write!(text, ",{user}"),
            Some(_) => write!(text, ";{stream}:{user}"),
            None => write!(text, "{stream}:{user}"),
        };
        last = Some(stream);
    }
    if text.is_empty() { "-".to_owned() } else { text }
}

fn read_followers(text: &str) -> Option<Vec<(StreamName, UserId)>> {
    let mut followers = Vec::new();
    for part in text.split(';').filter(|part| *part != "-") {
        let (stream, users) = part.split_once(':')?;
        let stream: StreamName = stream.parse().ok()?;
        for user in users.split(',') {
            followers.push((stream.clone(), UserId(user.parse().ok()?)));
        }
    }
    Some(followers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> StreamName {
        StreamName::new("room", 7)
    }

    #[test]
    fn a_notice_is_decoded_as_it_was_encoded() {
        let body = r#"{"type":"message","content":"a b\nc"}"#;
        let notices = [
            Notice::Appended { stream: room(), frame: Frame::new(3, body, None) },
            Notice::Appended { stream: room(), frame: Frame::new(4, "{}", Some(UserId(9))) },
            Notice::Announced { stream: room(), seq: 5 },
            Notice::Transient { stream: room(), body: body.into(), except: Some(UserId(2)) },
            Notice::Transient { stream: room(), body: body.into(), except: None },
            Notice::Value { stream: room(), name: "unread".to_owned(), version: Version(7, 2), body: body.into() },
            Notice::Followers {
                process: 7,
                joined: vec![(room(), UserId(1)), (room(), UserId(22)), (StreamName::new("room", 8), UserId(1))],
                left: Vec::new(),
            },
            Notice::Followers { process: u64::MAX, joined: Vec::new(), left: vec![(room(), UserId(3))] },
            Notice::Deleted { stream: room() },
            Notice::Ended { user: UserId(4) },
        ];
        for notice in notices {
            let line = notice.encode().unwrap();
            let decoded = Notice::decode(&line).unwrap();
            assert_eq!((decoded.encode().as_deref(), line.contains('\n')), (Some(line.as_str()), false), "{line}");
        }
    }

    #[test]
    fn what_is_too_long_is_announced_or_dropped() {
        let long = |length| format!(r#"{{"content":"{}"}}"#, "x".repeat(length));
        let appended = Notice::Appended { stream: room(), frame: Frame::new(3, long(MAX_BODY), None) };
        assert_eq!(appended.encode().as_deref(), Some("announced room/7 3"));
        let transient = Notice::Transient { stream: room(), body: long(MAX_TRANSIENT).into(), except: None };
        assert_eq!(transient.encode(), None);
    }

    #[test]
    fn what_is_not_understood_is_ignored() {
        for line in [
            "",
            "ended",
            "ended 0",
            "ended x",
            "deleted",
            "deleted room/7 3",
            "moved room/7 3",
            "announced room/7",
            "announced Room/7 3",
            "appended room/7 3 0",
            "appended room/7 3 0 text",
            "transient room/7 {}",
            "followers 7 room/7",
            "followers 7 room/7:1,x -",
        ] {
            assert!(Notice::decode(line).is_none(), "{line}");
        }
    }
}
