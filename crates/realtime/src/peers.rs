//! Which users follow which streams over the other processes.
//!
//! Each process reports who begins and ceases to follow a stream over it, and repeats who does regularly. A report may be
//! lost: a repeated one adds whoever is missing, and whoever is not repeated is forgotten.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use guildhall_kernel::{Timestamp, UserId};

use crate::{Notice, StreamName};

/// How often a process repeats who follows streams over it.
pub(crate) const REPEAT_INTERVAL: Duration = Duration::from_secs(10);
/// After what time a follower that is not repeated is forgotten.
const LEASE: Duration = Duration::from_secs(30);
/// How many users a report names.
const REPORTED_AT_ONCE: usize = 300;
/// How many followers of other processes are known; further ones are not.
const MAX_FOLLOWERS: usize = 200_000;

/// A stream and one of its followers.
pub(crate) type Follower = (StreamName, UserId);

/// The followers of other processes, and what has to be reported of the own ones.
#[derive(Default)]
pub(crate) struct Peers(Mutex<State>);

#[derive(Default)]
struct State {
    followers: HashMap<Follower, Vec<Report>>,
    /// The followers of this process that have changed since the last report.
    changed: HashSet<Follower>,
}

/// What a process has reported last of a follower.
struct Report {
    process: u64,
    at: Timestamp,
}

impl Peers {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has it reported that a user has begun or ceased to follow a stream over this process.
    pub(crate) fn report_later(&self, follower: Follower) {
        self.lock().changed.insert(follower);
    }

    /// The followers of this process that have to be reported.
    pub(crate) fn take_changed(&self) -> HashSet<Follower> {
        std::mem::take(&mut self.lock().changed)
    }

    /// Whether a user follows a stream over another process.
    pub(crate) fn is_following(&self, follower: &Follower) -> bool {
        self.lock().followers.contains_key(follower)
    }

    /// Takes the report of another process; returns the users of whom it is news that they follow the stream over one,
    /// or no longer.
    pub(crate) fn take_report(
        &self,
        process: u64,
        stream: &StreamName,
        (joined, left): (&[UserId], &[UserId]),
        now: Timestamp,
    ) -> Vec<UserId> {
        let mut state = self.lock();
        let mut changed = Vec::new();
        for user in joined {
            let follower = (stream.clone(), *user);
            if state.followers.len() >= MAX_FOLLOWERS && !state.followers.contains_key(&follower) {
                continue;
            }
            let reports = state.followers.entry(follower).or_default();
            if reports.is_empty() {
                changed.push(*user);
            }
            reports.retain(|report| report.process != process);
            reports.push(Report { process, at: now });
        }
        for user in left {
            let follower = (stream.clone(), *user);
            let Some(reports) = state.followers.get_mut(&follower) else { continue };
            reports.retain(|report| report.process != process);
            if reports.is_empty() {
                state.followers.remove(&follower);
                changed.push(*user);
            }
        }
        changed
    }

    /// Forgets the followers whose processes do not repeat them any more, and returns them.
    pub(crate) fn forget_silent(&self, now: Timestamp) -> Vec<Follower> {
        let mut state = self.lock();
        let mut forgotten = Vec::new();
        state.followers.retain(|follower, reports| {
            reports.retain(|report| report.at + LEASE > now);
            if reports.is_empty() {
                forgotten.push(follower.clone());
            }
            !reports.is_empty()
        });
        forgotten
    }
}

/// The reports of a process about followers, with whether each follows.
pub(crate) fn reports(process: u64, followers: impl IntoIterator<Item = (Follower, bool)>) -> Vec<Notice> {
    let mut by_stream: BTreeMap<StreamName, Vec<(UserId, bool)>> = BTreeMap::new();
    for ((stream, user), follows) in followers {
        by_stream.entry(stream).or_default().push((user, follows));
    }
    let mut reports = Vec::new();
    for (stream, users) in by_stream {
        for users in users.chunks(REPORTED_AT_ONCE) {
            let of = |wanted| users.iter().filter(|(_, follows)| *follows == wanted).map(|(user, _)| *user).collect();
            reports.push(Notice::Followers { stream: stream.clone(), process, joined: of(true), left: of(false) });
        }
    }
    reports
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn room() -> StreamName {
        StreamName::new("room", 7)
    }

    #[test]
    fn somebody_follows_until_the_last_process_says_otherwise_or_nothing() {
        let (peers, user) = (Peers::default(), [UserId(1)]);
        let is_following = || peers.is_following(&(room(), UserId(1)));
        assert_eq!(peers.take_report(1, &room(), (&user, &[]), at(0)), user);
        assert!(peers.take_report(2, &room(), (&user, &[]), at(0)).is_empty(), "it was known");
        assert!(peers.take_report(1, &room(), (&[], &user), at(1)).is_empty());
        assert!(is_following());
        assert_eq!(peers.take_report(2, &room(), (&[], &user), at(1)), user);
        assert!(!is_following());
        assert_eq!(peers.take_report(1, &room(), (&user, &[]), at(2)), user);
        assert!(peers.take_report(1, &room(), (&user, &[]), at(12)).is_empty(), "it is repeated");
        assert!(peers.forget_silent(at(40)).is_empty());
        assert_eq!(peers.forget_silent(at(42)), [(room(), UserId(1))]);
        assert!(!is_following());
    }

    #[test]
    fn what_others_report_is_limited() {
        let peers = Peers::default();
        let users: Vec<_> = (0..300_000).map(UserId).collect();
        assert_eq!(peers.take_report(1, &room(), (&users, &[]), at(0)).len(), MAX_FOLLOWERS);
        let known = [UserId(1), UserId(299_999)];
        peers.take_report(1, &room(), (&known, &[]), at(20));
        assert_eq!(peers.forget_silent(at(30)).len(), MAX_FOLLOWERS - 1, "known ones are repeated");
    }

    #[test]
    fn reports_fit_into_a_notification_of_postgresql() {
        let followers = (0..1000).map(|user| ((room(), UserId(i64::MAX - user)), user % 2 == 0));
        let reports = reports(u64::MAX, followers);
        assert_eq!(reports.len(), 4);
        assert!(reports.iter().all(|report| report.encode().unwrap().len() < 7000));
    }
}
