//! Saving: whole files, under names that are free, and photos without what they should not tell.

use medipeps_core::kind::Photo;

use super::*;

fn blob(id: u8, plaintext: &[u8]) -> BlobReference {
    let digests: Vec<_> = plaintext.chunks(ATTACHMENT_PART_LENGTH).map(part_digest).collect();
    BlobReference {
        domain: "clinic.example".into(),
        id: [id; 32],
        key: medipeps_core::crypto::secret::Secret::from([id; 32]).into(),
        length: plaintext.len() as u64,
        root: root(plaintext.len() as u64, &digests),
        expires: 0,
    }
}

fn document(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index / 7 % 251) as u8).collect()
}

fn open(folder: &Path, name: &str, blob: &BlobReference) -> Partial {
    match Partial::open(folder, name, blob).unwrap() {
        Opened::Partial(partial) => partial,
        Opened::Finished(path) => panic!("finished as {}", path.display()),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn nothing_is_overwritten_and_nothing_leaves_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["a.txt", "a.txt", "../a.txt", "/etc/a.txt"];
    let paths: Vec<_> = names.iter().map(|name| save_bytes(folder.path(), name, name.as_bytes()).unwrap()).collect();
    assert!(paths.iter().all(|path| path.parent() == Some(folder.path())));
    assert_eq!(fs::read(&paths[0]).unwrap(), b"a.txt");
    assert_eq!(paths[1].file_name().unwrap(), "a (2).txt");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
}

#[test]
fn whole_parts_are_kept_and_the_rest_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let plaintext = document(2 * ATTACHMENT_PART_LENGTH + 5);
    let blob = blob(1, &plaintext);
    let mut partial = open(folder.path(), "../scan.png", &blob);
    let mut parts = plaintext.chunks(ATTACHMENT_PART_LENGTH);
    partial.write(parts.next().unwrap()).unwrap();
    partial.file.write_all(b"half of the next").unwrap();
    drop(partial);
    let mut partial = open(folder.path(), "../scan.png", &blob);
    assert_eq!((partial.digests.len(), partial.kept()), (1, PART));
    assert_eq!(partial.file.metadata().unwrap().len(), PART);
    parts.for_each(|part| partial.write(part).unwrap());
    assert_eq!(names(folder.path()), ["._scan.png.01010101.part"]);
    let path = partial.finish(None).unwrap();
    assert_eq!(names(folder.path()), ["_scan.png"]);
    assert_eq!(fs::read(path).unwrap(), plaintext);
}

#[test]
fn what_is_not_the_one_in_the_message_never_gets_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let blob = blob(1, b"what was sent");
    for other in [&b"what was sent!"[..], b"what was", b"WHAT WAS SENT"] {
        let mut partial = open(folder.path(), "a", &blob);
        partial.write(other).unwrap();
        assert!(matches!(partial.finish(None), Err(SaveError::NotTheOne)));
        assert!(names(folder.path()).is_empty());
    }
}

#[test]
fn two_processes_do_not_write_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (blob(1, b"one"), blob(2, b"two"));
    let _first = open(folder.path(), "a", &one);
    assert!(matches!(Partial::open(folder.path(), "a", &one), Err(SaveError::Busy(_))));
    open(folder.path(), "a", &other).write(b"two").unwrap();
}

#[test]
#[cfg(unix)]
fn a_file_that_had_its_name_already_is_not_saved_twice() {
    let folder = tempfile::tempdir().unwrap();
    let blob = blob(1, b"document");
    fs::write(folder.path().join("a.pdf"), "somebody's").unwrap();
    let mut partial = open(folder.path(), "a.pdf", &blob);
    partial.write(b"document").unwrap();
    let path = partial.path.clone();
    // As if the process had died between giving the one name and taking the other.
    fs::hard_link(&path, folder.path().join("a (2).pdf")).unwrap();
    drop(partial);
    match Partial::open(folder.path(), "a.pdf", &blob).unwrap() {
        Opened::Finished(found) => assert_eq!(found, folder.path().join("a (2).pdf")),
        Opened::Partial(partial) => panic!("{partial:?}"),
    }
    assert_eq!(names(folder.path()), ["a (2).pdf", "a.pdf"]);
    assert_eq!(fs::read(folder.path().join("a.pdf")).unwrap(), b"somebody's");
}

#[test]
#[cfg(unix)]
fn a_link_in_the_place_of_the_partial_file_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let blob = blob(1, b"document");
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, "mine").unwrap();
    std::os::unix::fs::symlink(&elsewhere, folder.path().join(".a.01010101.part")).unwrap();
    assert!(matches!(Partial::open(folder.path(), "a", &blob), Err(SaveError::Disk { .. })));
    assert_eq!(fs::read(elsewhere).unwrap(), b"mine");
}

#[test]
fn an_empty_document_is_saved_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = open(folder.path(), "empty", &blob(1, b"")).finish(None).unwrap();
    assert_eq!(fs::read(path).unwrap(), b"");
}

/// A PNG image of one pixel; with a comment, or without.
fn png(comment: bool) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let body = [&kind[..], data].concat();
        let crc = !body.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1)))
        });
        [&u32::try_from(data.len()).unwrap().to_be_bytes()[..], &body, &crc.to_be_bytes()].concat()
    };
    let header = chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
    let text = if comment { chunk(b"tEXt", b"Comment\0At home, 12 Main Street") } else { Vec::new() };
    let data = chunk(b"IDAT", &[0x78, 0x9c, 0x63, 0x60, 0, 0, 0, 2, 0, 1]);
    [b"\x89PNG\r\n\x1a\n".to_vec(), header, text, data, chunk(b"IEND", b"")].concat()
}

#[test]
fn a_photo_that_says_more_than_its_pixels_gets_no_name_and_is_thrown_away() {
    let expected = ExpectedPhoto {
        photo: Photo { caption: String::new(), width: 1, height: 1 },
        media_type: "image/png".to_owned(),
    };
    let larger = ExpectedPhoto { photo: Photo { width: 2, ..expected.photo.clone() }, ..expected.clone() };
    for (image, expected, good) in
        [(png(false), &expected, true), (png(true), &expected, false), (png(false), &larger, false)]
    {
        let folder = tempfile::tempdir().unwrap();
        let mut partial = open(folder.path(), "photo.png", &blob(1, &image));
        partial.write(&image).unwrap();
        let finished = partial.finish(Some(expected));
        let names = fs::read_dir(folder.path()).unwrap().count();
        match good {
            true => assert_eq!(fs::read(finished.unwrap()).unwrap(), image),
            false => assert!(matches!(finished, Err(SaveError::Photo(_)))),
        }
        assert_eq!(names, usize::from(good), "nothing is left of what is refused");
    }
}
