//! Large documents between real programs: whole, resumed after a death of either end, and never a mix of two versions.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use medipeps_client::shell::agent::{Document, DocumentPlace};

use crate::correspondent::Correspondent;
use crate::person::{Draft, Person};
use crate::process::{Ended, PATIENCE, Process, wait_until};
use crate::server::Server;

const MIB: u64 = 1 << 20;
/// A file that takes long enough to be interrupted.
const LENGTH: u64 = 96 * MIB;
/// Bytes of client memory beside Argon2id's, whatever the file.
const MEMORY_MAX: u64 = 64 * MIB;
/// Set in a nightly run.
const NIGHTLY: &str = "MEDIPEPS_NIGHTLY";

/// A server, and two people who have accounts there.
fn people(folder: &Path) -> (Server, Person, Person) {
    let server = Server::start(folder);
    let claire = Person::with_account(folder, &server, "Dr Claire Martin", "claire");
    let karim = Person::with_account(folder, &server, "Karim Benali", "karim");
    (server, claire, karim)
}

/// Bytes that repeat nowhere (xorshift64*, from a seed), so that a part in the place of another is noticed.
fn write_document(path: &Path, seed: u64, length: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    for _ in 0..length / 8 {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        file.write_all(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()).unwrap();
    }
    file.write_all(&vec![7; usize::try_from(length % 8).unwrap()]).unwrap();
    file.flush().unwrap();
}

pub fn document(person: &Person, name: &str, seed: u64, length: u64) -> PathBuf {
    let path = person.folder().join(name);
    write_document(&path, seed, length);
    path
}

/// Whether two files are the same, byte by byte.
pub fn same(one: &Path, other: &Path) -> bool {
    let open = |path| BufReader::with_capacity(1 << 20, File::open(path).unwrap());
    let (mut one, mut other) = (open(one), open(other));
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let length = one.read(&mut left).unwrap();
        if length == 0 {
            return other.read(&mut right).unwrap() == 0;
        }
        if other.read_exact(&mut right[..length]).is_err() || left[..length] != right[..length] {
            return false;
        }
    }
}

fn draft(to: &Person, subject: &str, attach: &[&Path]) -> Draft {
    Draft { attach: attach.iter().map(|path| path.to_path_buf()).collect(), ..Draft::to(to, subject, "see attached") }
}

/// The percentages that a command has told, in order.
pub fn percentages(said: &str) -> Vec<u64> {
    let before = |line: &str| line.split(" % of ").next()?.rsplit(' ').next()?.parse().ok();
    said.lines().filter(|line| line.contains(" % of ")).filter_map(before).collect()
}

/// Waits until a command has come so far with a file, and not to its end.
#[track_caller]
fn wait_for_percent(process: &mut Process, percent: u64) {
    wait_until("the file has come so far", || {
        assert!(!process.has_ended(), "it ended before:\n{}", process.said());
        percentages(&process.complaints()).last().is_some_and(|said| *said >= percent)
    });
}

/// Syncs, and gives back the id of the message of this subject, which must be there once.
#[track_caller]
fn arrived(person: &Person, subject: &str) -> String {
    person.sync();
    let inbox = person.inbox();
    let found: Vec<_> = inbox.iter().filter(|one| one["subject"] == subject).collect();
    assert_eq!(found.len(), 1, "{subject:?} must be there once: {inbox:?}");
    found[0]["id"].as_str().unwrap().to_owned()
}

fn save_command(person: &Person, id: &str, folder: &Path) -> Command {
    person.command(&["read", id, "--json", "--save", folder.to_str().unwrap()])
}

/// Saves the attachments of a message and gives back their paths.
#[track_caller]
fn save(person: &Person, id: &str, folder: &Path) -> Vec<PathBuf> {
    paths(&Process::start(&mut save_command(person, id, folder)).wait().done())
}

#[track_caller]
fn paths(ended: &Ended) -> Vec<PathBuf> {
    let said = ended.json();
    said["attachments"].as_array().unwrap().iter().map(|one| one["saved_as"].as_str().unwrap().into()).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn files_of_10_mib_arrive_whole_and_a_range_of_one_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, claire, karim) = people(folder.path());
    let files = [1, 2, 3].map(|seed| document(&claire, &format!("{seed}.raw"), seed, 10 * MIB + seed));
    let paths: Vec<_> = files.iter().map(PathBuf::as_path).collect();
    claire.send_now(&draft(&karim, "three", &paths));
    assert_eq!(claire.status()["uploads"].as_array().unwrap().len(), 0);
    let id = arrived(&karim, "three");
    let words = ["read", &id, "--attachment", "2", "--range", "4194300-4194409"];
    let range = Command::new(crate::process::medipeps())
        .arg("--home")
        .arg(karim.home())
        .args(words)
        .env("MEDIPEPS_PASSPHRASE", karim.passphrase())
        .env("XDG_STATE_HOME", karim.state())
        .output()
        .unwrap();
    assert_eq!(range.stdout, fs::read(&files[1]).unwrap()[4_194_300..4_194_410]);
    let saved = save(&karim, &id, &karim.folder().join("saved"));
    assert_eq!(saved.len(), 3);
    assert!(saved.iter().zip(&files).all(|(saved, file)| same(saved, file)));
    // The sender has his own mail, and may fetch from it what he sent.
    let sent = save(&claire, &id, &claire.folder().join("saved"));
    assert!(sent.iter().zip(&files).all(|(saved, file)| same(saved, file)));
}

#[test]
fn an_upload_goes_on_after_sigkill_of_the_client_and_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, claire, karim) = people(folder.path());
    let file = document(&claire, "scan.raw", 1, LENGTH);
    let mut sending = Process::start(&mut claire.command(&claire.mail_send(&draft(&karim, "scan", &[&file]))));
    wait_for_percent(&mut sending, 20);
    let said = percentages(&sending.complaints()).pop().unwrap();
    sending.kill();
    assert_eq!(claire.status()["uploads"][0]["files"], 1);
    assert_eq!(server.queued(&karim.address()), 0, "nothing is with the recipient before all of it is there");

    let mut going_on = Process::start(&mut claire.command(&["sync"]));
    // What the server has is told by its answer, and not sent again.
    wait_for_percent(&mut going_on, 1);
    assert!(percentages(&going_on.complaints())[0] + 10 >= said, "{said} % were there\n{}", going_on.complaints());
    wait_for_percent(&mut going_on, said + 20);
    server.kill();
    server.run();
    let ended = going_on.wait().done();
    assert_eq!(ended.output, "0 received, 1 sent, 0 waiting\n");
    let told = percentages(&ended.complaints);
    assert!(told.is_sorted(), "what the server had on its disk was sent again: {told:?}");

    let saved = save(&karim, &arrived(&karim, "scan"), &karim.folder().join("saved"));
    assert!(same(&saved[0], &file));
}

#[test]
fn ctrl_c_leaves_an_upload_to_be_gone_on_with_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, claire, karim) = people(folder.path());
    let file = document(&claire, "scan.raw", 1, LENGTH);
    let mut sending = Process::start(&mut claire.command(&claire.mail_send(&draft(&karim, "scan", &[&file]))));
    wait_for_percent(&mut sending, 10);
    assert!(Command::new("sh").args(["-c", &format!("kill -INT {}", sending.id())]).status().unwrap().success());
    let ended = sending.wait().with_code(130);
    assert!(ended.complaints.contains("in the outbox"), "{ended:?}");
    claire.sync();
    let saved = save(&karim, &arrived(&karim, "scan"), &karim.folder().join("saved"));
    assert!(same(&saved[0], &file));
}

#[test]
fn a_file_edited_between_crash_and_resume_arrives_as_one_version() {
    for keeps_its_time in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (server, claire, karim) = people(folder.path());
        let file = document(&claire, "scan.raw", 1, LENGTH);
        let modified = fs::metadata(&file).unwrap().modified().unwrap();
        let mut sending = Process::start(&mut claire.command(&claire.mail_send(&draft(&karim, "scan", &[&file]))));
        wait_for_percent(&mut sending, 20);
        sending.kill();
        write_document(&file, 2, LENGTH);
        let modified = if keeps_its_time { modified } else { SystemTime::now() + Duration::from_secs(1) };
        File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
        claire.sync();
        let saved = save(&karim, &arrived(&karim, "scan"), &karim.folder().join("saved"));
        assert!(same(&saved[0], &file), "keeps its time: {keeps_its_time}");
        drop(server);
    }
}

#[test]
fn two_processes_upload_one_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, claire, karim) = people(folder.path());
    let file = document(&claire, "scan.raw", 1, LENGTH / 2);
    server.stop();
    let said = claire.send(&Draft { wait: Some(0), ..draft(&karim, "scan", &[&file]) });
    assert_eq!((&said["state"], &said["uploaded_percent"]), (&"queued".into(), &0.into()));
    server.run();
    let mut beside = Correspondent::beside(&claire);
    let other = Process::start(&mut claire.command(&["sync"]));
    beside.upload();
    other.wait().done();
    let saved = save(&karim, &arrived(&karim, "scan"), &karim.folder().join("saved"));
    assert!(same(&saved[0], &file));
}

#[test]
fn a_file_that_is_gone_before_its_upload_fails_the_mail_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, claire, karim) = people(folder.path());
    let (file, other) = (document(&claire, "scan.raw", 1, MIB), document(&claire, "other.raw", 2, MIB));
    server.stop();
    claire.send(&Draft { wait: Some(0), ..draft(&karim, "scan", &[&other, &file]) });
    fs::remove_file(&file).unwrap();
    server.run();
    claire.sync();
    let sent = claire.run(&["inbox", "--sent", "--json"]).done().json();
    assert_eq!((&sent[0]["state"], &sent[0]["recipients"][0]["code"]), (&"failed".into(), &"file_missing".into()));
    assert_eq!(claire.status()["uploads"].as_array().unwrap().len(), 0);
    karim.sync();
    assert!(karim.inbox().is_empty());
}

#[test]
fn saving_goes_on_after_sigkill_and_nothing_half_has_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, claire, karim) = people(folder.path());
    let file = document(&claire, "scan.raw", 1, LENGTH);
    claire.send_now(&draft(&karim, "scan", &[&file]));
    let (id, target) = (arrived(&karim, "scan"), karim.folder().join("saved"));
    let mut saving = Process::start(&mut save_command(&karim, &id, &target));
    wait_for_percent(&mut saving, 30);
    saving.kill();
    let partial = names(&target);
    assert!(partial.len() == 1 && partial[0].starts_with(".scan.raw.") && partial[0].ends_with(".part"), "{partial:?}");

    let again = Process::start(&mut save_command(&karim, &id, &target)).wait().done();
    assert!(percentages(&again.complaints)[0] >= 10, "what was there was fetched again\n{}", again.complaints);
    assert!(same(&paths(&again)[0], &file));
    assert_eq!(names(&target), ["scan.raw"]);

    // A partial file that somebody has tampered with is noticed by the digest over the whole, and thrown away.
    let mut saving = Process::start(&mut save_command(&karim, &id, &target));
    wait_for_percent(&mut saving, 30);
    saving.kill();
    let partial = names(&target).into_iter().find(|name| name.ends_with(".part")).unwrap();
    let mut tampered = File::options().write(true).open(target.join(partial)).unwrap();
    tampered.write_all(b"somebody else's").unwrap();
    let saved = save(&karim, &id, &target);
    assert_eq!(saved[0].file_name().unwrap(), "scan (2).raw");
    assert!(same(&saved[0], &file));
    assert_eq!(names(&target), ["scan (2).raw", "scan.raw"]);
}

#[test]
fn a_blob_altered_on_the_servers_disk_is_refused_and_nothing_is_left_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, claire, karim) = people(folder.path());
    let file = document(&claire, "scan.raw", 1, 12 * MIB);
    claire.send_now(&draft(&karim, "scan", &[&file]));
    let (id, target) = (arrived(&karim, "scan"), karim.folder().join("saved"));
    server.stop();
    let blobs = server.data().join("store").join("blobs");
    let mut altered = 0;
    for segment in fs::read_dir(&blobs).unwrap().map(|entry| entry.unwrap().path()) {
        let mut bytes = fs::read(&segment).unwrap();
        // In the middle of the document, and not at its end: that is looked at first.
        if let Some(byte) = bytes.get_mut(usize::try_from(6 * MIB).unwrap()) {
            *byte ^= 1;
            altered += 1;
        }
        fs::write(&segment, bytes).unwrap();
    }
    assert!(altered > 0, "there was nothing to alter in {}", blobs.display());
    server.run();
    let ended = Process::start(&mut save_command(&karim, &id, &target)).wait().with_code(1);
    assert!(ended.complaints.contains("scan.raw"), "{ended:?}");
    assert!(names(&target).iter().all(|name| name.ends_with(".part")), "{:?}", names(&target));
}

#[test]
fn a_text_of_300_kib_reads_as_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, claire, karim) = people(folder.path());
    let body: String = (0..30_000).map(|number| format!("line {number} ")).collect();
    let id = claire.send_now(&Draft::to(&karim, "long", &body));
    assert_eq!(karim.receive("long")["body"], *body);
    assert_eq!(claire.read(&id)["body"], *body);
    let export = karim.folder().join("export.json");
    karim.run(&["export", "--out", export.to_str().unwrap()]).done();
    let lines = fs::read_to_string(export).unwrap();
    let message = lines.lines().find(|line| line.contains("\"long\"")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(message).unwrap()["body"], *body);
}

#[test]
fn documents_with_hostile_names_are_saved_where_they_were_told_to_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let karim = Person::with_account(folder.path(), &server, "Karim Benali", "karim");
    let mut mallory = Correspondent::register(folder.path(), &server, "mallory");
    let long = format!("{}.pdf", "é".repeat(125));
    let sent = ["../../escaped.raw", "a\u{1b}[2Jb\r\nc\u{0}d.raw", &long, "existing.raw", "same.raw", "same.raw"];
    let content = |index: usize| format!("content {index} ").repeat(8_000);
    let documents = sent.iter().enumerate().map(|(index, name)| Document {
        name: (*name).to_owned(),
        media_type: "application/octet-stream".to_owned(),
        place: DocumentPlace::Memory(content(index).into_bytes()),
    });
    mallory.send_documents(&karim.address(), "hostile", documents.collect());
    let target = karim.folder().join("saved");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("existing.raw"), "mine").unwrap();
    let saved = save(&karim, &arrived(&karim, "hostile"), &target);
    for (index, path) in saved.iter().enumerate() {
        assert_eq!(path.parent(), Some(target.as_path()));
        assert_eq!(fs::read_to_string(path).unwrap(), content(index));
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.len() <= 255 && !name.starts_with('.') && !name.chars().any(char::is_control), "{name:?}");
    }
    assert_eq!(fs::read_to_string(target.join("existing.raw")).unwrap(), "mine");
    assert_eq!(names(&target).len(), sent.len() + 1, "each has a file of its own, and nothing else is left");
    assert!(!folder.path().join("escaped.raw").exists() && !karim.folder().join("escaped.raw").exists());
}

/// The JPEG's EXIF block says where it was taken: 48° 51' N, 2° 21' E.
fn photograph() -> Vec<u8> {
    let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &count.to_be_bytes(), &value].concat()
    };
    let degrees = |degrees: u32, minutes: u32| -> Vec<u8> {
        [degrees, 1, minutes, 1, 0, 1].into_iter().flat_map(u32::to_be_bytes).collect()
    };
    let mut tiff = [&b"MM\0\x2a\0\0\0\x08"[..], &1_u16.to_be_bytes()].concat();
    tiff.extend(entry(0x8825, 4, 1, 26_u32.to_be_bytes()));
    tiff.extend([0; 4]);
    tiff.extend(4_u16.to_be_bytes());
    tiff.extend(entry(1, 2, 2, *b"N\0\0\0"));
    tiff.extend(entry(2, 5, 3, 80_u32.to_be_bytes()));
    tiff.extend(entry(3, 2, 2, *b"E\0\0\0"));
    tiff.extend(entry(4, 5, 3, 104_u32.to_be_bytes()));
    tiff.extend([0; 4]);
    tiff.extend(degrees(48, 51));
    tiff.extend(degrees(2, 21));
    let exif = [&b"Exif\0\0"[..], &tiff].concat();
    let segment = |marker: u8, body: &[u8]| {
        [&[0xff, marker][..], &u16::try_from(body.len() + 2).unwrap().to_be_bytes(), body].concat()
    };
    let mut jpeg = vec![0xff, 0xd8];
    jpeg.extend(segment(0xe1, &exif));
    jpeg.extend(segment(0xdb, &[&[0][..], &[1; 64]].concat()));
    jpeg.extend(segment(0xc0, &[8, 0, 16, 0, 16, 1, 1, 0x11, 0]));
    jpeg.extend(segment(0xda, &[1, 1, 0, 0, 63, 0]));
    jpeg.extend([0x12; 70_000]);
    jpeg.extend([0xff, 0xd9]);
    jpeg
}

/// Whether an EXIF reader of somebody else finds a place.
fn has_a_place(image: &[u8]) -> bool {
    let read = exif::Reader::new().read_from_container(&mut std::io::Cursor::new(image));
    read.is_ok_and(|exif| exif.fields().any(|field| field.tag.context() == exif::Context::Gps))
}

#[test]
fn an_image_is_sent_without_the_place_where_it_was_taken_if_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, claire, karim) = people(folder.path());
    let image = photograph();
    assert!(has_a_place(&image), "the test's own image has none");
    let path = claire.file("wound.jpg", &image);
    for (subject, strip) in [("as it is", false), ("without", true)] {
        let mut words = claire.mail_send(&draft(&karim, subject, &[&path]));
        if strip {
            words.push("--strip-location".to_owned());
        }
        claire.run(&words).done();
        let id = arrived(&karim, subject);
        let preview = karim.run(&["read", &id, "--preview", "--json"]).done().json();
        assert_eq!(preview["attachments"][0]["preview"]["width"], 16, "{preview}");
        let saved = save(&karim, &id, &karim.folder().join("saved"));
        assert_eq!(has_a_place(&fs::read(&saved[0]).unwrap()), !strip, "{subject}");
    }
    assert!(names(&claire.home().join("blobs")).is_empty(), "the sealed copy is no longer needed");
}

/// The most memory that a process has had since it was last asked.
fn peak_memory(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// Runs a command to its end and gives back the most memory that it had once its store was unlocked.
#[track_caller]
fn peak_of(command: &mut Command, patience: Duration) -> (u64, Ended) {
    let (mut process, start) = (Process::start(command), Instant::now());
    wait_until("it has begun", || process.complaints().contains(" % of ") || process.has_ended());
    // Forgets the peak so far: Argon2id's.
    fs::write(format!("/proc/{}/clear_refs", process.id()), "5").unwrap();
    let mut peak = 0;
    while !process.has_ended() {
        assert!(start.elapsed() < patience, "it did not end:\n{}", process.said());
        peak = peak.max(peak_memory(process.id()).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(10));
    }
    (peak, process.wait().done())
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_of_512_mib_goes_and_comes_in_under_64_mib_of_client_memory() {
    let (length, patience) = match std::env::var_os(NIGHTLY) {
        Some(_) => (5_000_000_000, 30 * PATIENCE),
        None => (512 * MIB, 4 * PATIENCE),
    };
    let folder = tempfile::tempdir().unwrap();
    let (_server, claire, karim) = people(folder.path());
    let file = document(&claire, "film.raw", 1, length);
    let (sending, ended) = peak_of(&mut claire.command(&claire.mail_send(&draft(&karim, "film", &[&file]))), patience);
    assert_eq!(ended.json()["state"], "accepted");
    let id = arrived(&karim, "film");
    let (saving, ended) = peak_of(&mut save_command(&karim, &id, &karim.folder().join("saved")), patience);
    assert!(same(&paths(&ended)[0], &file));
    println!("{length} bytes: {sending} bytes of memory to send, {saving} to save");
    assert!(sending > MIB && saving > MIB, "the peaks were not read");
    assert!(sending < MEMORY_MAX && saving < MEMORY_MAX, "{sending} bytes to send, {saving} to save");
}
