//! Durable enqueue at the storage trait, beside the disk's own append and sync in the same run; the same while blobs are
//! uploaded; the uploads themselves; and appends to group logs.
//!
//! `cargo bench -p medipeps-server --bench storage [-- --json] [--seconds N] [--directory DIR]`. The budget (DESIGN.md,
//! Performance budgets): p99 at most twice the disk's p99 plus 2 ms, and at least 10 000 a second by group commit. The
//! first is held against one submission at a time, where nothing but the commit itself is waited for; with more in
//! flight, the latency is the number in flight over the rate (Little's law), and the rate is what counts.

#[path = "storage/group_logs.rs"]
mod group_logs;
#[path = "storage/uploads.rs"]
mod uploads;

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use medipeps_core::Address;
use medipeps_core::wire::transport::Lane;
use medipeps_server::storage::{
    DeviceRecord, Invitation, PrekeySet, QueueQuota, Registration, SledStorage, Spend, Storage, StorageOptions,
    Submission,
};
use serde_json::{Value, json};

use uploads::{Throughput, Uploads};

type Failed = Box<dyn Error + Send + Sync>;

const ENVELOPE_LENGTH: usize = 4 << 10;
const ACCOUNTS: u64 = 64;
const IN_FLIGHT: [usize; 3] = [1, 64, 512];
const IN_FLIGHT_WHILE_UPLOADING: [usize; 2] = [1, 64];
const DISK_SAMPLES: usize = 400;
const NOW_MS: u64 = 1_800_000_000_000;

struct Arguments {
    json: bool,
    seconds: u64,
    directory: PathBuf,
}

/// What was measured with so many submissions in flight.
struct Row {
    in_flight: usize,
    per_second: f64,
    p50: Duration,
    p99: Duration,
    /// Of the disk, right before and after.
    disk: Latencies,
    /// Megabytes of blobs a second that came meanwhile.
    uploads: f64,
}

struct Latencies(Vec<Duration>);

impl Latencies {
    fn percentile(&mut self, percent: usize) -> Duration {
        self.0.sort_unstable();
        self.0.get((self.0.len().saturating_sub(1)) * percent / 100).copied().unwrap_or_default()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    fs::create_dir_all(&arguments.directory)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let measure = |in_flight, uploading| measure_row(&runtime, &arguments, in_flight, uploading);
    let mut rows = IN_FLIGHT.into_iter().map(|one| measure(one, false)).collect::<Result<Vec<_>, _>>()?;
    let while_uploading = IN_FLIGHT_WHILE_UPLOADING.into_iter().map(|one| measure(one, true));
    let mut while_uploading = while_uploading.collect::<Result<Vec<_>, _>>()?;
    let blobs = uploads::measure(&runtime, &arguments.directory, Duration::from_secs(arguments.seconds))?;
    let appends = group_logs::measure(&runtime, &arguments.directory, Duration::from_secs(arguments.seconds))?;
    if arguments.json {
        print_json(&mut rows, &mut while_uploading, &blobs, appends);
    } else {
        print_table("durable enqueue", &mut rows);
        print_table("durable enqueue while blobs are uploaded", &mut while_uploading);
        let Throughput { put, disk } = blobs;
        println!(
            "pieces of blobs: {put:.0} MB/s; written and synced one by one: {disk:.0} MB/s; ratio {:.2}",
            put / disk
        );
        let in_flight = group_logs::IN_FLIGHT;
        println!("appends to group logs: {appends:.0}/s, {in_flight} in flight, {ENVELOPE_LENGTH} bytes each");
    }
    Ok(())
}

fn measure_row(
    runtime: &tokio::runtime::Runtime,
    arguments: &Arguments,
    in_flight: usize,
    uploading: bool,
) -> Result<Row, Box<dyn Error>> {
    let directory = arguments.directory.join(format!("store-{in_flight}"));
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    let mut disk = measure_disk(&arguments.directory)?;
    let duration = Duration::from_secs(arguments.seconds);
    let (per_second, mut latencies, uploads) =
        runtime.block_on(measure_store(&directory, in_flight, duration, uploading))?;
    disk.0.extend(measure_disk(&arguments.directory)?.0);
    fs::remove_dir_all(&directory)?;
    let (p50, p99) = (latencies.percentile(50), latencies.percentile(99));
    Ok(Row { in_flight, per_second, p50, p99, disk, uploads })
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench-storage");
    let mut arguments = Arguments { json: false, seconds: 5, directory };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => arguments.json = true,
            "--seconds" => arguments.seconds = words.next().ok_or("--seconds needs a number")?.parse()?,
            "--directory" => arguments.directory = words.next().ok_or("--directory needs a path")?.into(),
            // Cargo adds it.
            "--bench" => {}
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    Ok(arguments)
}

/// Appends an envelope and syncs, again and again.
fn measure_disk(directory: &Path) -> Result<Latencies, Box<dyn Error>> {
    let path = directory.join("disk");
    let mut file = File::create(&path)?;
    let body = vec![7; ENVELOPE_LENGTH];
    let mut latencies = Vec::with_capacity(DISK_SAMPLES);
    for _ in 0..DISK_SAMPLES {
        let start = Instant::now();
        file.write_all(&body)?;
        file.sync_data()?;
        latencies.push(start.elapsed());
    }
    fs::remove_file(path)?;
    Ok(Latencies(latencies))
}

async fn measure_store(
    directory: &Path,
    in_flight: usize,
    duration: Duration,
    uploading: bool,
) -> Result<(f64, Latencies, f64), Box<dyn Error>> {
    let quota = QueueQuota { messages_max: u64::MAX, bytes_max: u64::MAX, ..QueueQuota::default() };
    let storage = Arc::new(SledStorage::open(&StorageOptions { quota, ..StorageOptions::new(directory) })?);
    for number in 0..ACCOUNTS {
        register(&storage, number).await?;
    }
    let uploads = uploading.then(|| Uploads::start(Arc::clone(&storage)));
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let submitters: Vec<_> = (0..in_flight)
        .map(|_| {
            let (storage, next) = (Arc::clone(&storage), Arc::clone(&next));
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while start.elapsed() < duration {
                    let submission = submission(next.fetch_add(1, Ordering::Relaxed))?;
                    let sent = Instant::now();
                    storage.enqueue(submission).await?;
                    latencies.push(sent.elapsed());
                }
                Ok::<_, Failed>(latencies)
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for submitter in submitters {
        latencies.extend(submitter.await?.map_err(|error| error.to_string())?);
    }
    let per_second = latencies.len() as f64 / start.elapsed().as_secs_f64();
    let uploads = match uploads {
        Some(uploads) => uploads.stop().await.map_err(|error| error.to_string())?,
        None => 0.0,
    };
    Ok((per_second, Latencies(latencies), uploads))
}

fn address(number: u64) -> Result<Address, Failed> {
    Ok(format!("account-{number}@bench.example").parse()?)
}

async fn register(storage: &SledStorage, number: u64) -> Result<(), Box<dyn Error>> {
    let mut invitation_hash = [0; 32];
    invitation_hash[..8].copy_from_slice(&number.to_be_bytes());
    storage
        .create_invitation(
            invitation_hash,
            Invitation { organisation: None, expires_ms: NOW_MS + 1, tenant: 0, address: None },
        )
        .await?;
    let prekeys = PrekeySet {
        signed_prekey: vec![1; 100],
        last_resort_kem: vec![1; 1700],
        seal: vec![1; 1300],
        one_time: Vec::new(),
        one_time_kem: Vec::new(),
    };
    let registration = Registration {
        invitation_hash,
        address: address(number).map_err(|error| error.to_string())?,
        statement: vec![1; 800],
        statement_version: 1,
        devices: vec![DeviceRecord { device_id: 1, sequence: 1, prekeys }],
        now_ms: NOW_MS,
    };
    storage.register(registration).await?;
    Ok(())
}

/// The id and the contents differ from one to the next, and are as incompressible as an envelope.
fn submission(number: u64) -> Result<Submission, Failed> {
    let mut word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move || {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        word.to_be_bytes()
    };
    let mut id = [0; 16];
    id[..8].copy_from_slice(&random());
    id[8..].copy_from_slice(&number.to_be_bytes());
    let mut digest = [0; 32];
    digest[..16].copy_from_slice(&id);
    let envelope = (0..ENVELOPE_LENGTH / 8).flat_map(|_| random()).collect();
    Ok(Submission {
        id,
        address: address(number % ACCOUNTS)?,
        envelopes: vec![(1, envelope)],
        digest,
        now_ms: NOW_MS + number / 10,
        expires_ms: NOW_MS + number / 10 + 30 * 24 * 3600 * 1000,
        lane: Lane::Normal,
        spend: Spend::default(),
    })
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The p99 that the budget allows.
fn budget(disk_p99: Duration) -> Duration {
    disk_p99 * 2 + Duration::from_millis(2)
}

fn print_table(title: &str, rows: &mut [Row]) {
    println!("{title}: {ENVELOPE_LENGTH} byte envelopes; times in ms");
    println!("in flight   per second      p50      p99   disk p50   disk p99   p99/disk p99   p99/budget   blobs MB/s");
    for row in rows {
        let (disk_p50, disk_p99) = (row.disk.percentile(50), row.disk.percentile(99));
        println!(
            "{:>9} {:>12.0} {:>8.2} {:>8.2} {:>10.2} {:>10.2} {:>14.2} {:>12.2} {:>12.0}",
            row.in_flight,
            row.per_second,
            milliseconds(row.p50),
            milliseconds(row.p99),
            milliseconds(disk_p50),
            milliseconds(disk_p99),
            row.p99.as_secs_f64() / disk_p99.as_secs_f64(),
            row.p99.as_secs_f64() / budget(disk_p99).as_secs_f64(),
            row.uploads,
        );
    }
}

/// Whatever is no compressible pattern.
fn random_bytes(length: usize) -> Vec<u8> {
    let mut word = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        word.to_be_bytes()
    };
    (0..length.div_ceil(8)).flat_map(|_| random()).take(length).collect()
}

fn json_rows(rows: &mut [Row]) -> Vec<Value> {
    rows.iter_mut()
        .map(|row| {
            let (disk_p50, disk_p99) = (row.disk.percentile(50), row.disk.percentile(99));
            json!({
                "in_flight": row.in_flight,
                "per_second": row.per_second,
                "p50_ms": milliseconds(row.p50),
                "p99_ms": milliseconds(row.p99),
                "disk_p50_ms": milliseconds(disk_p50),
                "disk_p99_ms": milliseconds(disk_p99),
                "p99_over_disk_p99": row.p99.as_secs_f64() / disk_p99.as_secs_f64(),
                "p99_over_budget": row.p99.as_secs_f64() / budget(disk_p99).as_secs_f64(),
                "uploads_mb_per_second": row.uploads,
            })
        })
        .collect()
}

fn print_json(rows: &mut [Row], while_uploading: &mut [Row], blobs: &Throughput, appends: f64) {
    let (rows, while_uploading) = (json_rows(rows), json_rows(while_uploading));
    let blobs = json!({ "put_mb_per_second": blobs.put, "disk_mb_per_second": blobs.disk });
    let (bench, envelope_bytes) = ("durable_enqueue", ENVELOPE_LENGTH);
    println!(
        "{}",
        json!({
            "bench": bench,
            "envelope_bytes": envelope_bytes,
            "rows": rows,
            "while_uploading": while_uploading,
            "blobs": blobs,
            "group_log": { "appends_per_second": appends },
        })
    );
}
