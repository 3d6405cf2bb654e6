//! CPU time and memory of processes, read from /proc.

use std::{fs, path::Path};

/// The kernel counts CPU time in hundredths of a second on every Linux of today.
const MS_PER_TICK: f64 = 10.0;

fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold spaces: fields are counted from behind it, the state being field 3 of proc(5).
    Some(text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

fn ticks(stat: &[String], fields: std::ops::RangeInclusive<usize>) -> f64 {
    fields.filter_map(|field| stat.get(field - 3)?.parse::<f64>().ok()).sum()
}

/// User and system time of a process so far.
pub(crate) fn cpu_ms_of_process(pid: u32) -> f64 {
    stat(pid).map_or(0.0, |stat| ticks(&stat, 14..=15) * MS_PER_TICK)
}

/// User and system time of a PostgreSQL server so far: the postmaster, its children, and those it has reaped.
pub(crate) fn cpu_ms_of_postgres(folder: &Path) -> f64 {
    let file = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
    let postmaster: u32 =
        file.lines().next().and_then(|pid| pid.parse().ok()).expect("the first line is the process id");
    let own = stat(postmaster).map_or(0.0, |stat| ticks(&stat, 14..=17));
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let children = pids.filter_map(stat).filter(|stat| stat.get(1) == Some(&postmaster.to_string()));
    (own + children.map(|stat| ticks(&stat, 14..=15)).sum::<f64>()) * MS_PER_TICK
}

/// Resident memory of a process.
pub(crate) fn resident_mib(pid: u32) -> f64 {
    status_mib(pid, "VmRSS:")
}

/// The most resident memory a process had so far.
pub(crate) fn most_resident_mib(pid: u32) -> f64 {
    status_mib(pid, "VmHWM:")
}

fn status_mib(pid: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// The middle of an odd number of values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
