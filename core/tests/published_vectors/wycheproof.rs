//! Reading Wycheproof's files strictly: a schema, group, field, flag or result that is not known here fails, so that a newer
//! release of the vectors is read with open eyes, and an empty file cannot pass.

use serde_json::{Map, Value};

use crate::vectors;

/// One file, and all that may be in it.
pub(crate) struct File {
    /// `wycheproof/NAME_test.json`.
    pub(crate) name: &'static str,
    /// Its `algorithm` and `schema`.
    pub(crate) is: (&'static str, &'static str),
    /// The type of its groups.
    pub(crate) group_type: &'static str,
    /// What a group has besides its type, source and cases.
    pub(crate) group_fields: &'static [&'static str],
    /// What every case has besides its number and result.
    pub(crate) case_fields: &'static [&'static str],
    /// What a case may have besides.
    pub(crate) optional_fields: &'static [&'static str],
    /// The flags that a case may have.
    pub(crate) flags: &'static [&'static str],
    /// How many cases it had when these tests were written; a file with fewer is not whole.
    pub(crate) cases: usize,
}

/// One case with the group that it is of.
pub(crate) struct Case<'a> {
    pub(crate) group: &'a Map<String, Value>,
    case: &'a Map<String, Value>,
}

/// What Wycheproof says of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Valid,
    Invalid,
    /// Either is fine by the standard.
    Acceptable,
}

impl File {
    /// Hands every case to `check`, and prints how many there were.
    pub(crate) fn each(&self, mut check: impl FnMut(&Case<'_>)) {
        let file = vectors(&format!("wycheproof/{}_test.json", self.name));
        let file = file.as_object().unwrap();
        let top = ["algorithm", "schema", "numberOfTests", "testGroups"];
        known(self.name, file, &top, &["header", "notes"]);
        assert_eq!((file["algorithm"].as_str(), file["schema"].as_str()), (Some(self.is.0), Some(self.is.1)));
        let mut count = 0;
        for group in file["testGroups"].as_array().unwrap() {
            let group = group.as_object().unwrap();
            known(self.name, group, &[&["type", "source", "tests"], self.group_fields].concat(), &[]);
            assert_eq!(group["type"], self.group_type, "{}", self.name);
            let cases = group["tests"].as_array().unwrap();
            assert!(!cases.is_empty(), "{}: a group without cases", self.name);
            for case in cases {
                let case = case.as_object().unwrap();
                let optional = [&["comment", "flags"], self.optional_fields].concat();
                known(self.name, case, &[&["tcId", "result"], self.case_fields].concat(), &optional);
                let case = Case { group, case };
                if let Some(flag) = case.flags().find(|flag| !self.flags.contains(flag)) {
                    panic!("{}: case {} has the unknown flag {flag}", self.name, case.number());
                }
                check(&case);
                count += 1;
            }
        }
        assert_eq!(file["numberOfTests"], count, "{}", self.name);
        assert!(count >= self.cases, "{}: {count} cases, there were {}", self.name, self.cases);
        println!("wycheproof {}: {count} cases", self.name);
    }
}

impl Case<'_> {
    /// Names the case when something is wrong.
    pub(crate) fn number(&self) -> u64 {
        self.case["tcId"].as_u64().unwrap()
    }

    pub(crate) fn expected(&self) -> Expected {
        match self.case["result"].as_str() {
            Some("valid") => Expected::Valid,
            Some("invalid") => Expected::Invalid,
            Some("acceptable") => Expected::Acceptable,
            other => panic!("case {}: the unknown result {other:?}", self.number()),
        }
    }

    pub(crate) fn flags(&self) -> impl Iterator<Item = &str> {
        self.case.get("flags").and_then(Value::as_array).into_iter().flatten().map(|flag| flag.as_str().unwrap())
    }

    pub(crate) fn has_flag(&self, flag: &str) -> bool {
        self.flags().any(|other| other == flag)
    }

    /// A field in hexadecimal.
    pub(crate) fn bytes(&self, field: &str) -> Vec<u8> {
        crate::bytes(&self.case[field])
    }

    /// A field in hexadecimal, if it is there.
    pub(crate) fn optional(&self, field: &str) -> Option<Vec<u8>> {
        self.case.get(field).map(crate::bytes)
    }

    /// A field that is a number.
    pub(crate) fn length(&self, field: &str) -> usize {
        usize::try_from(self.case[field].as_u64().unwrap()).unwrap()
    }
}

/// All of `required` and nothing but `optional` besides.
fn known(name: &str, object: &Map<String, Value>, required: &[&str], optional: &[&str]) {
    for field in required {
        assert!(object.contains_key(*field), "{name}: {field} is missing");
    }
    for field in object.keys() {
        assert!([required, optional].concat().contains(&field.as_str()), "{name}: the unknown field {field}");
    }
}
