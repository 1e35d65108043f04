//! Which users follow which streams over the other processes.
//!
//! Each process reports who begins and ceases to follow a stream over it, and repeats who does regularly. A report may be
//! lost: a repeated one adds whoever is missing, and whoever is not repeated is forgotten.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use guildhall_kernel::{Timestamp, UserId};

use crate::{Notice, StreamName};

/// How often a process repeats who follows streams over it.
pub(crate) const REPEAT_INTERVAL: Duration = Duration::from_secs(10);
/// After what time a follower that is not repeated is forgotten.
const LEASE: Duration = Duration::from_secs(30);
/// About how long a report is, in bytes: it has to fit into a notification of PostgreSQL.
const REPORT_BYTES: usize = 6000;
/// The longest id of a user and what separates it from the others, in bytes.
const MAX_ID_BYTES: usize = 21;
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

    /// Takes the report of another process; returns those of whom it is news that they follow a stream over another
    /// process, or no longer.
    pub(crate) fn take_report(
        &self,
        process: u64,
        joined: Vec<Follower>,
        left: Vec<Follower>,
        now: Timestamp,
    ) -> Vec<Follower> {
        let mut state = self.lock();
        let mut changed = Vec::new();
        for follower in joined {
            if state.followers.len() >= MAX_FOLLOWERS && !state.followers.contains_key(&follower) {
                continue;
            }
            let reports = state.followers.entry(follower.clone()).or_default();
            if reports.is_empty() {
                changed.push(follower);
            }
            reports.retain(|report| report.process != process);
            reports.push(Report { process, at: now });
        }
        for follower in left {
            let Some(reports) = state.followers.get_mut(&follower) else { continue };
            reports.retain(|report| report.process != process);
            if reports.is_empty() {
                state.followers.remove(&follower);
                changed.push(follower);
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
    let mut followers: Vec<_> = followers.into_iter().collect();
    // The name of a stream is in a report once.
    followers.sort_unstable();
    let mut reports = Vec::new();
    let (mut joined, mut left, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (follower, follows) in followers {
        let list = if follows { &mut joined } else { &mut left };
        let is_same_stream = list.last().is_some_and(|(stream, _)| *stream == follower.0);
        bytes += MAX_ID_BYTES + if is_same_stream { 0 } else { follower.0.as_str().len() };
        list.push(follower);
        if bytes >= REPORT_BYTES {
            let (joined, left) = (std::mem::take(&mut joined), std::mem::take(&mut left));
            reports.push(Notice::Followers { process, joined, left });
            bytes = 0;
        }
    }
    if bytes > 0 {
        reports.push(Notice::Followers { process, joined, left });
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
        let (peers, user) = (Peers::default(), vec![(room(), UserId(1))]);
        let is_following = || peers.is_following(&(room(), UserId(1)));
        let joins = |process, second| peers.take_report(process, user.clone(), Vec::new(), at(second));
        let leaves = |process, second| peers.take_report(process, Vec::new(), user.clone(), at(second));
        assert_eq!(joins(1, 0), user);
        assert!(joins(2, 0).is_empty(), "it was known");
        assert!(leaves(1, 1).is_empty());
        assert!(is_following());
        assert_eq!(leaves(2, 1), user);
        assert!(!is_following());
        assert_eq!(joins(1, 2), user);
        assert!(joins(1, 12).is_empty(), "it is repeated");
        assert!(peers.forget_silent(at(40)).is_empty());
        assert_eq!(peers.forget_silent(at(42)), [(room(), UserId(1))]);
        assert!(!is_following());
    }

    #[test]
    fn what_others_report_is_limited() {
        let peers = Peers::default();
        let users = (0..300_000).map(|user| (room(), UserId(user))).collect();
        assert_eq!(peers.take_report(1, users, Vec::new(), at(0)).len(), MAX_FOLLOWERS);
        let known = vec![(room(), UserId(1)), (room(), UserId(299_999))];
        peers.take_report(1, known, Vec::new(), at(20));
        assert_eq!(peers.forget_silent(at(30)).len(), MAX_FOLLOWERS - 1, "known ones are repeated");
    }

    #[test]
    fn reports_are_few_and_fit_into_a_notification_of_postgresql() {
        let check = |followers: Vec<(Follower, bool)>, most: usize| {
            let reports = reports(u64::MAX, followers.clone());
            assert!(reports.len() <= most, "{}", reports.len());
            let mut reported = Vec::new();
            for report in reports {
                let line = report.encode().unwrap();
                assert!(line.len() < 7000, "{}", line.len());
                let Some(Notice::Followers { joined, left, .. }) = Notice::decode(&line) else { panic!("{line}") };
                reported.extend(joined.into_iter().map(|follower| (follower, true)));
                reported.extend(left.into_iter().map(|follower| (follower, false)));
            }
            reported.sort_unstable();
            let mut followers = followers;
            followers.sort_unstable();
            assert_eq!(reported, followers);
        };
        check((0..1000).map(|user| ((room(), UserId(i64::MAX - user)), user % 2 == 0)).collect(), 4);
        let many_rooms = (1..=1000_i64)
            .flat_map(|room| (1..=10).map(move |user| ((StreamName::new("room", room), UserId(user)), user % 3 == 0)));
        check(many_rooms.collect(), 40);
        check(Vec::new(), 0);
    }
}
