//! What processes use, according to `/proc`: memory, CPU time and context switches.

use std::{collections::BTreeMap, fs, str::FromStr, time::Duration};

use anyhow::Context;
use serde::Serialize;

/// The memory usage of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Current (`VmRSS`).
    pub resident_kib: u32,
    /// The part of it that is in no file (`RssAnon`): heap and stacks.
    pub anonymous_kib: u32,
    /// The part of it that is in files (`RssFile`): the program and memory-mapped files.
    pub file_kib: u32,
    /// Peak (`VmHWM`).
    pub peak_kib: u32,
}

impl Memory {
    /// The memory usage of the process with this id.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/status"))?)
    }

    fn parse(status: &str) -> anyhow::Result<Self> {
        Ok(Self {
            resident_kib: field(status, "VmRSS:")?,
            anonymous_kib: field(status, "RssAnon:")?,
            file_kib: field(status, "RssFile:")?,
            peak_kib: field(status, "VmHWM:")?,
        })
    }
}

/// What processes have used since they started.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// User and system time, also of threads that have ended.
    cpu: Duration,
    /// Voluntary context switches of each thread that exists.
    switches: BTreeMap<u32, u64>,
}

/// What a request costs the processes of a server.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// User and system time, in microseconds.
    pub cpu_us: f64,
    /// Voluntary context switches of all threads: how often one waited.
    pub switches: f64,
}

impl Usage {
    /// The usage of the processes with these ids.
    pub fn of(pids: &[u32]) -> anyhow::Result<Self> {
        let mut usage = Self::default();
        for pid in pids {
            usage.cpu += cpu_time(&fs::read_to_string(format!("/proc/{pid}/stat"))?)?;
            for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
                // The thread may have ended since.
                let Ok(status) = fs::read_to_string(entry?.path().join("status")) else { continue };
                usage.switches.insert(field(&status, "Pid:")?, field(&status, "voluntary_ctxt_switches:")?);
            }
        }
        Ok(usage)
    }

    /// What each of `requests` requests has cost since an earlier moment.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub fn cost_since(&self, earlier: &Self, requests: u32) -> Cost {
        let requests = f64::from(requests.max(1));
        let new = |(thread, count): (&u32, &u64)| count - earlier.switches.get(thread).unwrap_or(&0).min(count);
        let switches: u64 = self.switches.iter().map(new).sum();
        let cpu = self.cpu.saturating_sub(earlier.cpu);
        Cost { cpu_us: cpu.as_secs_f64() * 1e6 / requests, switches: switches as f64 / requests }
    }
}

impl Cost {
    /// The lowest of several runs: what disturbs a run only adds to it.
    pub fn lowest(costs: &[Self]) -> Self {
        let lowest = |value: fn(&Self) -> f64| costs.iter().map(value).fold(f64::NAN, f64::min);
        Self { cpu_us: lowest(|cost| cost.cpu_us), switches: lowest(|cost| cost.switches) }
    }
}

/// The first word after the name of a field in a `status` file.
fn field<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(status: &str, name: &str) -> anyhow::Result<T> {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    Ok(value.with_context(|| format!("/proc does not show {name}"))?.parse()?)
}

/// User and system time in a `stat` file.
fn cpu_time(stat: &str) -> anyhow::Result<Duration> {
    // The name of the program, in parentheses, can contain anything.
    let (_, fields) = stat.rsplit_once(')').context("/proc shows no program name")?;
    let mut ticks = fields.split_whitespace().skip(11);
    let mut next = || -> anyhow::Result<u64> { Ok(ticks.next().context("/proc shows no CPU time")?.parse()?) };
    let micros = (next()? + next()?) * 1_000_000 / rustix::param::clock_ticks_per_second();
    Ok(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const STATUS: &str = "Name:\ta VmRSS: b\nPid:\t7\nVmHWM:\t   90112 kB\nVmRSS:\t   81920 kB\nRssAnon:\t   51200 kB\n\
        RssFile:\t   30720 kB\nvoluntary_ctxt_switches:\t42\nnonvoluntary_ctxt_switches:\t5\n";

    fn usage(cpu_ms: u64, switches: &[(u32, u64)]) -> Usage {
        Usage { cpu: Duration::from_millis(cpu_ms), switches: switches.iter().copied().collect() }
    }

    #[test]
    fn memory_is_split_into_anonymous_and_file_pages() {
        let memory = Memory::parse(STATUS).unwrap();
        let expected = Memory { resident_kib: 81_920, anonymous_kib: 51_200, file_kib: 30_720, peak_kib: 90_112 };
        assert_eq!(memory, expected);
        let error = Memory::parse("VmRSS: 1 kB").unwrap_err();
        assert_eq!(error.to_string(), "/proc does not show RssAnon:");
    }

    #[test]
    fn the_cpu_time_follows_a_program_name_with_spaces_and_parentheses() {
        let stat = "7 (a ) b (c) R 1 7 7 0 -1 4194304 119 0 0 0 150 25 900 800 20 0 1 0 4242 1 2";
        let tick = 1_000_000 / rustix::param::clock_ticks_per_second();
        assert_eq!(cpu_time(stat).unwrap(), Duration::from_micros(175 * tick));
        assert!(cpu_time("7 (a) R 1").is_err());
    }

    #[test]
    fn a_cost_counts_new_threads_but_not_earlier_use() {
        let (before, after) = (usage(500, &[(1, 1_000), (2, 300)]), usage(700, &[(1, 1_400), (3, 40)]));
        assert_eq!(after.cost_since(&before, 100), Cost { cpu_us: 2_000.0, switches: 4.4 });
        assert_eq!(before.cost_since(&before, 0), Cost { cpu_us: 0.0, switches: 0.0 });
    }

    #[test]
    fn the_lowest_cost_of_each_kind_counts() {
        let costs = [Cost { cpu_us: 30.0, switches: 1.0 }, Cost { cpu_us: 20.0, switches: 4.0 }];
        assert_eq!(Cost::lowest(&costs), Cost { cpu_us: 20.0, switches: 1.0 });
    }

    #[test]
    fn this_process_uses_cpu_time() {
        let (start, pids) = (Instant::now(), [std::process::id()]);
        let before = Usage::of(&pids).unwrap();
        assert!(!before.switches.is_empty());
        while Usage::of(&pids).unwrap().cpu == before.cpu {
            assert!(start.elapsed() < Duration::from_secs(10), "the CPU time does not grow");
        }
        let memory = Memory::of(std::process::id()).unwrap();
        assert!(memory.anonymous_kib > 0 && memory.file_kib > 0, "{memory:?}");
    }
}
