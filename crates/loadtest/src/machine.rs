//! What the figures were measured on.

use std::fs;
use std::path::Path;
use std::process;
use std::thread;
use std::time::{Duration, Instant};

/// Processor, memory and system.
pub(crate) fn describe() -> String {
    let of = |file: &str, name: &str| {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = of("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let memory = of("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".to_owned());
    // What else runs takes processors from everything measured.
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "{model}, {cores} cores, memory {memory}, {}, load average {load} before it began",
        std::env::consts::OS
    )
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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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

impl CpuTime {
    /// Of this process and those it started.
    pub(crate) fn now() -> Option<Self> {
        let children: Vec<Process> =
            processes().filter(|process| process.parent == process::id()).map(Process::by_its_task).collect();
        let of_children = |names: &[&str]| {
            let named = children.iter().filter(|child| names.contains(&child.name.as_str()));
            named.map(|child| child.time).sum()
        };
        Some(Self {
            at: Instant::now(),
            database: of_children(&["mariadbd", "mysqld"]),
            redis: of_children(&["redis-server", "valkey-server", "redis-check-rdb"]),
            server: of_children(&["jangteo", "loadtest"]),
            platform: of_children(&[PLATFORM, "tansu"]),
            load: Process::parse(&fs::read_to_string("/proc/self/stat").ok()?)?.time,
        })
    }

    /// What was used since.
    pub(crate) fn busy_since(before: Option<Self>) -> Option<Busy> {
        let (before, now) = (before?, Self::now()?);
        let seconds = (now.at - before.at).as_secs_f64();
        let share = |now: Duration, before: Duration| now.saturating_sub(before).as_secs_f64() / seconds;
        Some(Busy {
            database: share(now.database, before.database),
            redis: share(now.redis, before.redis),
            server: share(now.server, before.server),
            platform: share(now.platform, before.platform),
            load: share(now.load, before.load),
        })
    }
}

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
}
