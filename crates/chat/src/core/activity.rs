//! Who is typing and who has a connection to a room, as this process has published it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use guildhall_kernel::{Person, Timestamp, UserId};

use crate::id::RoomId;

/// After what time without a further frame nobody is typing any more.
const TYPING_LASTS: Duration = Duration::from_secs(6);
/// How long somebody without a connection still counts as online, since most reconnect.
const OFFLINE_DELAY: Duration = Duration::from_secs(15);
/// In rooms with more people online, only their number is published.
const MAX_NAMED: usize = 200;
/// How often the number of people online is published.
const COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// What has to be published to the rooms of this process.
#[derive(Default)]
pub(crate) struct Activity(Mutex<State>);

#[derive(Default)]
struct State {
    typing: HashMap<(RoomId, UserId), (Person, Timestamp)>,
    /// Whose connections have changed, and when.
    changed: HashMap<(RoomId, UserId), Timestamp>,
    online: HashMap<RoomId, HashSet<UserId>>,
    /// The rooms whose number of people has changed.
    counted: HashSet<RoomId>,
    counted_at: Option<Timestamp>,
}

/// What is published to a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The person has stopped typing.
    NotTyping(Person),
    /// The user has a connection, or no longer.
    Online(UserId, bool),
    /// So many users have a connection.
    Count(usize),
}

impl Activity {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that somebody is typing.
    pub(crate) fn begin_typing(&self, room: RoomId, person: Person, now: Timestamp) {
        self.lock().typing.insert((room, person.id), (person, now + TYPING_LASTS));
    }

    /// Records that somebody has stopped typing; returns them if they were.
    pub(crate) fn end_typing(&self, room: RoomId, user: UserId) -> Option<Person> {
        self.lock().typing.remove(&(room, user)).map(|(person, _)| person)
    }

    /// Records that the connections of a user to a room have changed.
    pub(crate) fn change(&self, room: RoomId, user: UserId, now: Timestamp) {
        self.lock().changed.insert((room, user), now);
    }

    /// What has to be published to the rooms now. `is_online` reports whether a user has a connection.
    pub(crate) fn take(&self, now: Timestamp, is_online: impl Fn(RoomId, UserId) -> bool) -> Vec<(RoomId, Notice)> {
        let mut state = self.lock();
        let State { typing, changed, online, counted, counted_at } = &mut *state;
        let mut notices = Vec::new();
        typing.retain(|(room, _), (person, end)| {
            if *end <= now {
                notices.push((*room, Notice::NotTyping(person.clone())));
            }
            *end > now
        });
        changed.retain(|(room, user), since| {
            let is_here = is_online(*room, *user);
            if !is_here && *since + OFFLINE_DELAY > now {
                return true;
            }
            let people = online.entry(*room).or_default();
            let has_changed = if is_here { people.insert(*user) } else { people.remove(user) };
            if has_changed && people.len() <= MAX_NAMED {
                notices.push((*room, Notice::Online(*user, is_here)));
            } else if has_changed {
                counted.insert(*room);
            }
            if people.is_empty() {
                online.remove(room);
            }
            false
        });
        if !counted.is_empty() && counted_at.is_none_or(|at| at + COUNT_INTERVAL <= now) {
            *counted_at = Some(now);
            notices.extend(counted.drain().map(|room| {
                let count = online.get(&room).map_or(0, HashSet::len);
                (room, Notice::Count(count))
            }));
        }
        notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn person(id: i64) -> Person {
        let name = format!("person-{id}");
        Person { id: UserId(id), username: name.clone(), display_name: name, avatar_url: None }
    }

    #[test]
    fn typing_ends_after_six_seconds_or_when_somebody_says_so() {
        let activity = Activity::default();
        activity.begin_typing(ROOM, person(1), at(0));
        activity.begin_typing(ROOM, person(2), at(0));
        activity.begin_typing(ROOM, person(1), at(3));
        assert_eq!(activity.end_typing(ROOM, UserId(2)), Some(person(2)));
        assert_eq!(activity.end_typing(ROOM, UserId(2)), None);
        assert!(activity.take(at(8), |_, _| true).is_empty());
        assert_eq!(activity.take(at(9), |_, _| true), [(ROOM, Notice::NotTyping(person(1)))]);
        assert!(activity.take(at(20), |_, _| true).is_empty());
    }

    #[test]
    fn a_short_loss_of_the_connection_is_not_published() {
        let activity = Activity::default();
        let notices = |seconds, is_here| activity.take(at(seconds), |_, _| is_here);
        activity.change(ROOM, UserId(1), at(0));
        assert_eq!(notices(0, true), [(ROOM, Notice::Online(UserId(1), true))]);
        activity.change(ROOM, UserId(1), at(10));
        assert!(notices(20, false).is_empty());
        activity.change(ROOM, UserId(1), at(21));
        assert!(notices(21, true).is_empty());
        activity.change(ROOM, UserId(1), at(30));
        assert!(notices(44, false).is_empty());
        assert_eq!(notices(45, false), [(ROOM, Notice::Online(UserId(1), false))]);
    }

    #[test]
    fn in_large_rooms_only_the_number_is_published_every_five_seconds() {
        let activity = Activity::default();
        let come = |users: std::ops::RangeInclusive<i64>, seconds| {
            users.for_each(|user| activity.change(ROOM, UserId(user), at(seconds)));
            activity.take(at(seconds), |_, _| true)
        };
        assert_eq!(come(1..=200, 0).len(), 200);
        assert_eq!(come(201..=300, 1), [(ROOM, Notice::Count(300))]);
        assert!(come(301..=310, 3).is_empty());
        assert_eq!(come(311..=311, 6), [(ROOM, Notice::Count(311))]);
    }
}
