//! What the figures were measured on.

use std::fs;
use std::path::Path;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Processor, memory and system.
pub(crate) fn describe() -> String {
    let model = told("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let cores = cores();
    let memory = told("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".to_owned());
    // What else runs takes processors from everything measured.
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "{model}, {cores} cores, memory {memory}, {}, load average {load} before it began",
        std::env::consts::OS
    )
}

/// What a file of the system tells after a name and a colon.
fn told(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Memory of the machine, in MiB. Linux only.
pub(crate) fn memory_mib() -> Option<u32> {
    let kib: u64 = told("/proc/meminfo", "MemTotal")?.strip_suffix(" kB")?.parse().ok()?;
    u32::try_from(kib / 1024).ok()
}

/// Processors that this process may use.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// The kind of file system that a folder is on, and its device.
pub(crate) fn file_system(folder: &Path) -> Option<(String, String)> {
    file_system_in(&fs::read_to_string("/proc/mounts").ok()?, folder)
}

fn file_system_in(mounts: &str, folder: &Path) -> Option<(String, String)> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let (device, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
        folder.starts_with(point).then(|| (point.len(), (kind.to_owned(), device.to_owned())))
    });
    // The last of those with the longest path is the one on top.
    Some(mounts.max_by_key(|(length, _)| *length)?.1)
}

/// Processor time used so far. Linux only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuTime {
    at: Instant,
    database: Duration,
    redis: Duration,
    server: Duration,
    platform: Duration,
    load: Duration,
}

/// Processors in use on average. What works in the kernel for nobody in particular is not in here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Busy {
    /// By a database server that this process started.
    pub(crate) database: f64,
    /// By a Redis that this process started.
    pub(crate) redis: f64,
    /// By Jangteo, servers and workers, or by the bare server in its place.
    pub(crate) server: f64,
    /// By the data platform that events are delivered to, and its broker.
    pub(crate) platform: f64,
    /// By this process, which makes the load.
    pub(crate) load: f64,
}

impl Busy {
    /// By whom.
    pub(crate) fn shares(self) -> [(&'static str, f64); 5] {
        let Self { database, redis, server, platform, load } = self;
        [("server", server), ("database", database), ("Redis", redis), ("platform", platform), ("load", load)]
    }
}

/// This process and those it started, found once: looking through all processes of a machine takes milliseconds, asking
/// a few for their time takes none.
#[derive(Debug)]
pub(crate) struct Family {
    children: Vec<Process>,
}

impl Family {
    /// As it is now.
    pub(crate) fn now() -> Self {
        let children = processes().filter(|process| process.parent == process::id());
        Self { children: children.map(Process::by_its_task).collect() }
    }

    /// What it has used so far; a child that ended counts no more.
    pub(crate) fn cpu_time(&self) -> Option<CpuTime> {
        let of_children = |names: &[&str]| self.named(names).filter_map(Process::time_now).sum();
        Some(CpuTime {
            at: Instant::now(),
            database: of_children(&["mariadbd", "mysqld"]),
            redis: of_children(&["redis-server", "valkey-server", "redis-check-rdb"]),
            server: of_children(SERVER),
            platform: of_children(&[PLATFORM, "tansu"]),
            load: Process::parse(&fs::read_to_string("/proc/self/stat").ok()?)?.time,
        })
    }

    /// What servers and workers have in memory, in KiB; nothing when there are none.
    pub(crate) fn resident_kib(&self) -> Option<u64> {
        let memory = self.named(SERVER).filter_map(|server| Memory::of(server.id));
        memory.map(|memory| memory.resident_kib).reduce(|a, b| a + b)
    }

    fn named<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a Process> {
        self.children.iter().filter(move |child| names.contains(&child.name.as_str()))
    }
}

impl CpuTime {
    /// Of this process and those it started.
    pub(crate) fn now() -> Option<Self> {
        Family::now().cpu_time()
    }

    /// What was used since.
    pub(crate) fn busy_since(before: Option<Self>) -> Option<Busy> {
        Some(Self::now()?.busy_from(before?))
    }

    /// What was used from one moment to another.
    pub(crate) fn busy_from(self, before: Self) -> Busy {
        let seconds = (self.at - before.at).as_secs_f64();
        let share = |now: Duration, before: Duration| now.saturating_sub(before).as_secs_f64() / seconds;
        Busy {
            database: share(self.database, before.database),
            redis: share(self.redis, before.redis),
            server: share(self.server, before.server),
            platform: share(self.platform, before.platform),
            load: share(self.load, before.load),
        }
    }
}

/// What a process has in memory. Linux only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Memory {
    /// Now, in KiB.
    pub(crate) resident_kib: u64,
    /// At most since it was started, in KiB.
    pub(crate) peak_kib: u64,
}

impl Memory {
    /// Of the process with that id.
    pub(crate) fn of(process: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{process}/status")).ok()?)
    }

    fn parse(status: &str) -> Option<Self> {
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':').trim().strip_suffix(" kB")?.parse().ok()
        };
        Some(Self { resident_kib: kib("VmRSS")?, peak_kib: kib("VmHWM")? })
    }
}

/// The names of servers: of Jangteo, and of the bare one.
const SERVER: &[&str] = &["jangteo", "loadtest"];

/// The command of Jangteo that runs a data platform.
pub(crate) const PLATFORM: &str = "platform";

/// A process as `/proc/<id>/stat` shows it.
#[derive(Debug, PartialEq)]
struct Process {
    id: u32,
    name: String,
    parent: u32,
    /// In user and kernel mode, of all threads.
    time: Duration,
}

impl Process {
    /// The kernel's unit of time here, on every platform that Rust runs on.
    const TICK: Duration = Duration::from_millis(10);

    fn parse(stat: &str) -> Option<Self> {
        // The name may contain anything, the closing parenthesis too.
        let (id, rest) = stat.split_once(" (")?;
        let (name, fields) = rest.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |field: usize| fields.get(field)?.parse::<u32>().ok();
        Some(Self {
            id: id.parse().ok()?,
            name: name.to_owned(),
            parent: number(1)?,
            time: Self::TICK * (number(11)? + number(12)?),
        })
    }

    /// The time it has used by now, unless it has ended.
    fn time_now(&self) -> Option<Duration> {
        let now = Self::parse(&fs::read_to_string(format!("/proc/{}/stat", self.id)).ok()?)?;
        Some(now.time)
    }

    /// The platform is the same program as the server.
    fn by_its_task(mut self) -> Self {
        let line = fs::read(format!("/proc/{}/cmdline", self.id)).unwrap_or_default();
        if line.split(|byte| *byte == 0).nth(1) == Some(PLATFORM.as_bytes()) {
            PLATFORM.clone_into(&mut self.name);
        }
        self
    }
}

fn processes() -> impl Iterator<Item = Process> {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    folders.filter_map(|folder| Process::parse(&fs::read_to_string(folder.path().join("stat")).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_on_the_nearest_mount() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vdb /tmp/disk xfs rw 0 0\n";
        let kind = |folder| file_system_in(mounts, Path::new(folder)).unwrap().0;
        assert_eq!(kind("/var/tmp"), "ext4");
        assert_eq!(kind("/tmp/x"), "tmpfs");
        assert_eq!(kind("/tmp/disk/x"), "xfs");
    }

    #[test]
    fn processor_time_is_read_from_the_kernel() {
        let stat = "12 (a ) b) S 7 2 3 4 5 6 7 8 9 10 30 12 0 0 20";
        let time = Duration::from_millis(420);
        assert_eq!(Process::parse(stat), Some(Process { id: 12, name: "a ) b".to_owned(), parent: 7, time }));
    }

    #[test]
    fn memory_is_read_from_the_status_of_the_process() {
        let status = "Name:\tjangteo\nVmHWM:\t   61440 kB\nVmRSS:\t   51200 kB\nThreads:\t5\n";
        assert_eq!(Memory::parse(status), Some(Memory { resident_kib: 51_200, peak_kib: 61_440 }));
        assert_eq!(Memory::parse("Name:\tjangteo\n"), None);
    }
}
