//! Nothing that was written is readable at the server. The demo searches deeper; this is its small sister for every run
//! of the tests.

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

use crate::person::{Draft, Person};
use crate::server::Server;

/// A text in the forms in which it could lie somewhere.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut forms = vec![
        bytes.to_vec(),
        text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        HEXLOWER.encode(bytes).into_bytes(),
        HEXUPPER.encode(bytes).into_bytes(),
    ];
    for before in 0..3 {
        let shifted = [&vec![0; before][..], bytes].concat();
        for encoding in [&BASE64_NOPAD, &BASE64URL_NOPAD] {
            // The first and the last letters hold bits of what stands around.
            let encoded = encoding.encode(&shifted);
            let whole = encoded.len() - 2;
            forms.push(encoded.as_bytes()[(before * 4).div_ceil(3)..whole].to_vec());
        }
    }
    forms
}

/// In which of these places a text can be read.
fn found(text: &str, places: &[(PathBuf, Vec<u8>)]) -> Vec<PathBuf> {
    let forms = forms(text);
    let holds = |bytes: &[u8]| forms.iter().any(|form| bytes.windows(form.len()).any(|window| window == form));
    places.iter().filter(|(_, bytes)| holds(bytes)).map(|(path, _)| path.clone()).collect()
}

/// Every file below a folder.
fn read_all(folder: &Path, into: &mut Vec<(PathBuf, Vec<u8>)>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            read_all(&path, into);
        } else if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            into.push((path, bytes));
        }
    }
}

/// Where the server keeps a text so that it can be read: in its folder, or in its log.
pub fn kept_in_the_clear(text: &str, server: &Server) -> Vec<PathBuf> {
    let mut places = vec![(PathBuf::from("the server's log"), server.log().into_bytes())];
    read_all(&server.data(), &mut places);
    found(text, &places)
}

#[test]
fn every_form_of_a_text_is_found_where_it_is() {
    let text = "Pneumopathie interstitielle";
    for before in 0..3 {
        let around = [&b"xyz"[..before], text.as_bytes(), b"tail"].concat();
        let encoded = [
            around.clone(),
            BASE64_NOPAD.encode(&around).into_bytes(),
            HEXLOWER.encode(&around).into_bytes(),
            HEXUPPER.encode(&around).into_bytes(),
        ];
        for bytes in encoded {
            assert_eq!(found(text, &[(PathBuf::from("here"), bytes)]).len(), 1);
        }
    }
}

#[test]
fn nothing_that_was_written_is_readable_at_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(folder.path(), "log_filter = \"trace\"\n");
    let claire = Person::with_account(folder.path(), &server, "Dr Claire Martin-Duverger", "claire");
    let karim = Person::with_account(folder.path(), &server, "Karim Benali el Idrissi", "karim");
    let (subject, body) = ("Pneumopathie interstitielle", "Hypokaliémie sévère, arrêt du furosémide");
    let (file, content) = ("compte-rendu-bronchoscopie.xml", "<ClinicalDocument>lavage alvéolaire</ClinicalDocument>");
    let draft = Draft { attach: vec![claire.file(file, content.as_bytes())], ..Draft::to(&karim, subject, body) };
    claire.send_now(&draft);

    // While it waits in the queue, after it was fetched, and after a restart.
    let mut places = Vec::new();
    read_all(&server.data(), &mut places);
    let waiting = places.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    assert!(waiting > 4096, "an envelope must be there, or the search shows nothing");
    assert_eq!(karim.receive(subject)["body"], body);
    karim.send_now(&Draft { ..Draft::to(&claire, subject, body) });
    assert_eq!(claire.receive(subject)["body"], body);
    read_all(&server.data(), &mut places);
    server.stop();
    server.run();
    read_all(&server.data(), &mut places);
    places.push((PathBuf::from("log"), server.log().into_bytes()));

    let texts = [subject, body, file, content, claire.name, karim.name];
    for text in texts {
        assert_eq!(found(text, &places), Vec::<PathBuf>::new(), "{text:?} is readable at the server");
    }
    // The same search finds each of them where it must be, and at the server what the server must know.
    let export = karim.folder().join("export.jsonl");
    karim.run(&["export", "--out", export.to_str().unwrap()]).done();
    let export = [(export.clone(), fs::read(&export).unwrap())];
    for text in texts {
        assert_eq!(found(text, &export).len(), 1, "the search does not find {text:?}");
    }
    assert!(!found(&karim.address(), &places).is_empty(), "the address is what the server routes by");
}
