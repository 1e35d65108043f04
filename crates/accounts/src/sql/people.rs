//! What others see of users, kept in memory: nearly every list of the other crates shows people by id.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use guildhall_kernel::{Person, Timestamp, UserId};
use quick_cache::sync::Cache;

/// How many people are kept. The names of one take less than 2 KiB, usually some 50 bytes.
const MAX_PEOPLE: usize = 20_000;

/// How long a person is used after they were read. Changes by this process are visible at once; those by another one
/// (the command line, another node) are not known here, and visible after this time at the latest.
const MAX_AGE: Duration = Duration::from_secs(2);

/// People by id. Users that do not exist are not kept, so a new one is found at once.
pub(super) struct KeptPeople {
    kept: Cache<UserId, Kept>,
    changes: Mutex<Changes>,
}

#[derive(Clone)]
struct Kept {
    person: Person,
    read_at: Timestamp,
}

#[derive(Default)]
struct Changes {
    /// Incremented by every change of any person.
    count: u64,
    /// Users that must not be kept any more.
    excluded: HashSet<UserId>,
}

/// A read of people from the database that is about to begin.
pub(super) struct PeopleRead {
    changes: u64,
    at: Timestamp,
}

impl Default for KeptPeople {
    fn default() -> Self {
        Self { kept: Cache::new(MAX_PEOPLE), changes: Mutex::default() }
    }
}

impl KeptPeople {
    /// The people with these ids that are kept, each once, and the ids of the others.
    pub(super) fn find(&self, ids: &[UserId], now: Timestamp) -> (Vec<Person>, Vec<UserId>) {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let (mut people, mut missing) = (Vec::with_capacity(ids.len()), Vec::new());
        for id in ids {
            // After the clock was set back, the age is unknown.
            let is_current = |kept: &Kept| kept.read_at <= now && now.since(kept.read_at) < MAX_AGE;
            match self.kept.get(&id).filter(is_current) {
                Some(kept) => people.push(kept.person),
                None => missing.push(id),
            }
        }
        (people, missing)
    }

    /// To be called before people are read from the database.
    pub(super) fn begin_read(&self, now: Timestamp) -> PeopleRead {
        PeopleRead { changes: self.changes().count, at: now }
    }

    /// Keeps the people of a read, unless anybody has changed since it began: it may have seen them as they were.
    pub(super) fn keep(&self, read: &PeopleRead, people: &[Person]) {
        // Held while they are inserted, so that no change comes between.
        let changes = self.changes();
        if changes.count != read.changes {
            return;
        }
        for person in people.iter().filter(|person| !changes.excluded.contains(&person.id)) {
            self.kept.insert(person.id, Kept { person: person.clone(), read_at: read.at });
        }
    }

    /// Forgets people whose change has committed.
    pub(super) fn forget(&self, ids: &[UserId]) {
        let mut changes = self.changes();
        changes.count += 1;
        for id in ids {
            self.kept.remove(id);
        }
    }

    /// Forgets a user and does not keep them again, since it is unknown when their change commits. Each costs a few
    /// bytes until the process ends.
    pub(super) fn exclude(&self, id: UserId) {
        let mut changes = self.changes();
        changes.count += 1;
        changes.excluded.insert(id);
        self.kept.remove(&id);
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::EPOCH;
    const ANNA: UserId = UserId(1);

    fn person(id: i64, name: &str) -> Person {
        Person { id: UserId(id), username: name.to_owned(), display_name: name.to_owned(), avatar_url: None }
    }

    /// The name of a user, if it is kept.
    fn name(people: &KeptPeople, now: Timestamp) -> Option<String> {
        people.find(&[ANNA], now).0.pop().map(|person| person.username)
    }

    fn with_anna() -> KeptPeople {
        let people = KeptPeople::default();
        people.keep(&people.begin_read(NOW), &[person(1, "anna")]);
        people
    }

    #[test]
    fn each_person_is_found_once_and_the_others_are_missing() {
        let people = with_anna();
        let (found, missing) = people.find(&[UserId(2), ANNA, ANNA, UserId(2)], NOW);
        assert_eq!((found, missing), (vec![person(1, "anna")], vec![UserId(2)]));
    }

    #[test]
    fn a_read_that_began_before_a_change_is_not_kept() {
        let people = with_anna();
        let before = people.begin_read(NOW);
        people.forget(&[ANNA]);
        assert_eq!(name(&people, NOW), None);
        let after = people.begin_read(NOW);
        people.keep(&before, &[person(1, "anna")]);
        assert_eq!(name(&people, NOW), None, "it has the old name");
        people.keep(&after, &[person(1, "anne")]);
        people.keep(&before, &[person(1, "anna")]);
        assert_eq!(name(&people, NOW).as_deref(), Some("anne"));
    }

    #[test]
    fn an_excluded_user_is_never_kept_again() {
        let people = with_anna();
        people.exclude(ANNA);
        people.keep(&people.begin_read(NOW), &[person(1, "anna"), person(2, "berta")]);
        assert_eq!(people.find(&[ANNA, UserId(2)], NOW), (vec![person(2, "berta")], vec![ANNA]));
    }

    #[test]
    fn a_person_is_used_for_the_maximum_age_whichever_way_the_clock_is_set() {
        let people = with_anna();
        let last = NOW + MAX_AGE - Duration::from_micros(1);
        assert_eq!(name(&people, last).as_deref(), Some("anna"));
        assert_eq!(name(&people, NOW + MAX_AGE), None);
        assert_eq!(name(&people, NOW - Duration::from_micros(1)), None);
    }

    #[test]
    fn the_number_of_people_is_bounded() {
        let people = KeptPeople::default();
        for id in 0..i64::try_from(MAX_PEOPLE).unwrap() * 3 {
            people.keep(&people.begin_read(NOW), &[person(id, "anna")]);
        }
        assert!((MAX_PEOPLE / 2..=MAX_PEOPLE).contains(&people.kept.len()), "{}", people.kept.len());
    }
}
