//! The model suite: the symbolic models under `spec/model`, each claim as it stands and with one assumption removed.
//!
//! A model is a Verifpal file with four kinds of comments, which `spec/model/README.md` explains: assumptions, the attacks
//! that must be found without them, lines that go or come with them, and the section of the specification that a step models.
//! Where an attack is not found, or one is found that nobody expects, the suite fails; so it does when Verifpal's report
//! has another form than the one known here.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::process::{self, ProcessError};
use crate::suite::Run;
use crate::suite::count::Counts;
use crate::suite::need::VERIFPAL_VERSION;
use crate::suite::report::Ended;

/// Where the models are, below the project's root.
const MODELS: &str = "spec/model";
/// The name of the case in which every assumption holds.
const AS_IT_STANDS: &str = "as-it-stands";

/// A model, or what is wrong with it, in words for a person.
type Checked<T> = Result<T, String>;

/// One analysis: a model with at most one assumption removed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Case {
    model: String,
    /// The assumption that is removed, or [`AS_IT_STANDS`].
    name: String,
    /// Runs of every principal that the attacker may mix.
    sessions: u64,
    /// The queries that must fail, as Verifpal prints them. All others must hold.
    attacks: Vec<String>,
    /// The model's text.
    text: String,
}

/// Reads the models, then runs every case, as many at once as there are processors.
pub(super) fn run(run: &Run) -> Result<Ended, ProcessError> {
    let cases = match read(run.project.root()) {
        Ok(cases) => cases,
        Err(why) => {
            println!("{why}");
            return Ok(Ended { counts: Counts::FAILED, ..Ended::default() });
        }
    };
    let scratch = run.project.target().join("model");
    let next = AtomicUsize::new(0);
    let results: Mutex<Counts> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (counts, said) = analyse(run, &scratch, case);
                    if let Ok(mut results) = results.lock() {
                        println!("{said}"); // under the lock: the lines of one case stay together
                        *results += counts;
                    }
                }
            });
        }
    });
    let counts = results.into_inner().unwrap_or(Counts::FAILED);
    Ok(Ended { counts, ..Ended::default() })
}

/// Runs one case. What is said is a line per claim.
fn analyse(run: &Run, scratch: &Path, case: &Case) -> (Counts, String) {
    let file = format!("{}-{}.vp", case.model, case.name);
    let path = scratch.join(&file);
    if let Err(error) = fs::create_dir_all(scratch).and_then(|()| fs::write(&path, &case.text)) {
        return (Counts::FAILED, format!("{file}: cannot be written: {error}"));
    }
    let mut command = run.project.command("verifpal");
    command.arg("verify").arg(&path).args(["--format", "json", "--sessions", &case.sessions.to_string()]);
    let Some(report) = process::answer(&mut command) else {
        return (Counts::FAILED, format!("{file}: Verifpal does not take it; see: {}", process::as_typed(&command)));
    };
    let verdicts = match verdicts(&report, case.sessions) {
        Ok(verdicts) => verdicts,
        Err(why) => return (Counts::FAILED, format!("{file}: {why}")),
    };
    judge(case, &verdicts)
}

/// Compares what was found with what must be found.
fn judge(case: &Case, verdicts: &[Verdict]) -> (Counts, String) {
    let mut counts = Counts::default();
    let mut said = Vec::new();
    let runs = if case.sessions == 1 { "session" } else { "sessions" };
    for Verdict { query, attacked } in verdicts {
        let expected = case.attacks.contains(query);
        let found = if *attacked { "attack found" } else { "no attack" };
        let result = if *attacked == expected { "ok" } else { "WRONG" };
        counts += Counts::one(*attacked == expected);
        said.push(format!("{result:<5} {}, {}: {query}: {found} ({} {runs})", case.model, case.name, case.sessions));
    }
    for unknown in case.attacks.iter().filter(|attack| !verdicts.iter().any(|verdict| verdict.query == **attack)) {
        counts += Counts::FAILED;
        said.push(format!("WRONG {}, {}: {unknown}: there is no such query", case.model, case.name));
    }
    (counts, said.join("\n"))
}

/// What Verifpal says about one query.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    query: String,
    attacked: bool,
}

/// Reads a report. Everything that a verdict rests on must be there and agree: version, sessions, result code, number of
/// attacks, a trace for each attack, a search that was not cut short for each query that holds.
fn verdicts(report: &str, sessions: u64) -> Checked<Vec<Verdict>> {
    let report: Value = serde_json::from_str(report).map_err(|error| format!("the report is not JSON: {error}"))?;
    let unlike = |what: &str| format!("the report is not of the known form: {what}");
    if report["version"] != VERIFPAL_VERSION {
        return Err(unlike("another version"));
    }
    let [model] = report["models"].as_array().map(Vec::as_slice).unwrap_or_default() else {
        return Err(unlike("not one model"));
    };
    if report["ok"] != true || model["ok"] != true {
        return Err(format!("Verifpal refuses the model: {}", model["error"]));
    }
    let analysis = &model["analysis"];
    if analysis["sessions"] != sessions {
        return Err(unlike("sessions"));
    }
    let queries =
        analysis["queries"].as_array().filter(|queries| !queries.is_empty()).ok_or_else(|| unlike("queries"))?;
    let mut verdicts = Vec::new();
    let mut code = String::new();
    for query in queries {
        let text = query["query"].as_str().ok_or_else(|| unlike("a query's text"))?;
        let kind =
            query["kind"].as_str().and_then(|kind| kind.chars().next()).ok_or_else(|| unlike("a query's kind"))?;
        let attacked = query["resolved"].as_bool().ok_or_else(|| unlike("a verdict"))?;
        let has_trace = query["steps"].as_array().ok_or_else(|| unlike("a trace"))?.iter().any(Value::is_object)
            || query["conclusion"].as_str().is_some_and(|conclusion| !conclusion.is_empty());
        let envelope = &query["envelope"];
        let whole = envelope["exhausted"] == true
            && envelope["sessions"] == sessions
            && envelope["truncations"].as_array().is_some_and(Vec::is_empty);
        if attacked != has_trace {
            return Err(unlike(&format!("verdict and trace of '{text}' disagree")));
        }
        if !attacked && !whole {
            return Err(format!("the search for an attack on '{text}' was cut short: {}", envelope["summary"]));
        }
        code.push(kind);
        code.push(if attacked { '1' } else { '0' });
        verdicts.push(Verdict { query: text.to_owned(), attacked });
    }
    if analysis["code"] != code || analysis["attacks"] != verdicts.iter().filter(|verdict| verdict.attacked).count() {
        return Err(unlike("the result code disagrees with the queries"));
    }
    Ok(verdicts)
}

/// All cases of all models, in the order of the file names.
fn read(root: &Path) -> Checked<Vec<Case>> {
    let folder = root.join(MODELS);
    let entries = fs::read_dir(&folder).map_err(|error| format!("cannot read {MODELS}: {error}"))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "vp"));
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {name}.vp: {error}"))?;
        let section = |page: &str, heading: &str| {
            let page = fs::read_to_string(root.join("spec").join(page)).unwrap_or_default();
            page.lines().any(|line| line.strip_prefix("## ") == Some(heading))
        };
        check_citations(&text, section).map_err(|why| format!("{name}.vp: {why}"))?;
        cases.extend(cases_of(name, &text).map_err(|why| format!("{name}.vp: {why}"))?);
    }
    if cases.is_empty() { Err(format!("there is no model under {MODELS}")) } else { Ok(cases) }
}

/// The model as it stands, then without each of its assumptions.
fn cases_of(model: &str, text: &str) -> Checked<Vec<Case>> {
    let new = |name: &str| Case {
        model: model.to_owned(),
        name: name.to_owned(),
        sessions: 1,
        attacks: Vec::new(),
        text: String::new(),
    };
    let mut cases = vec![new(AS_IT_STANDS)];
    for line in text.lines() {
        let Some(word) = line.strip_prefix("//") else { continue };
        let Some(case) = cases.last_mut() else { continue };
        if let Some((name, _)) = word.strip_prefix(" assumption ").and_then(|rest| rest.split_once(": ")) {
            cases.push(new(name));
        } else if let Some(query) = word.strip_prefix("   attack: ") {
            case.attacks.push(query.to_owned());
        } else if let Some(number) = word.trim_start().strip_prefix("sessions: ") {
            case.sessions = number.parse().map_err(|_| format!("'{number}' is no number of sessions"))?;
        }
    }
    let names: Vec<String> = cases.iter().map(|case| case.name.clone()).collect();
    for case in &mut cases {
        case.text = text_of(text, &case.name, &names)?;
    }
    Ok(cases)
}

/// The text of one case: lines with `//- NAME` gone, lines with `//+ NAME:` in force. Every name must be an assumption, and
/// every assumption must change something.
fn text_of(text: &str, case: &str, names: &[String]) -> Checked<String> {
    let mut lines = Vec::new();
    let mut changes = 0;
    let concerns = |list: &str| -> Checked<bool> {
        let mut listed = list.split(',').map(str::trim);
        match listed.clone().find(|name| !names.iter().any(|known| known == name)) {
            Some(unknown) => Err(format!("there is no assumption called '{unknown}'")),
            None => Ok(listed.any(|name| name == case)),
        }
    };
    for line in text.lines() {
        if let Some((indent, rest)) = line.split_once("//+ ") {
            let (list, code) = rest.split_once(": ").ok_or_else(|| format!("no colon in: {line}"))?;
            if concerns(list)? {
                lines.push(format!("{indent}{code}"));
                changes += 1;
            }
        } else if let Some((code, list)) = line.split_once("//- ") {
            if concerns(list)? {
                changes += 1;
            } else {
                lines.push(code.trim_end().to_owned());
            }
        } else {
            lines.push(line.to_owned());
        }
    }
    if case != AS_IT_STANDS && changes == 0 {
        return Err(format!("the assumption '{case}' changes nothing"));
    }
    Ok(lines.join("\n") + "\n")
}

/// Every step of a principal stands under a `// spec: PAGE, SECTION`, in its block or just above it, that exists.
fn check_citations(text: &str, section: impl Fn(&str, &str) -> bool) -> Checked<()> {
    let mut cited = false;
    let mut in_block = false;
    for (line, number) in text.lines().map(str::trim).zip(1..) {
        let step = line.split_once("//+ ").and_then(|(_, rest)| rest.split_once(": ")).map_or(line, |(_, code)| code);
        if let Some(citation) = line.strip_prefix("// spec: ") {
            let known = citation.split_once(", ").is_some_and(|(page, heading)| section(page, heading));
            if !known {
                return Err(format!("line {number}: there is no section '{citation}'"));
            }
            cited = true;
        } else if step.starts_with("principal ") {
            in_block = step.ends_with('[');
            if !in_block && !cited {
                return Err(format!("line {number}: no section of the specification named"));
            }
        } else if step == "]" {
            (in_block, cited) = (false, false);
        } else if in_block && !cited {
            return Err(format!("line {number}: no section of the specification named"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MODEL: &str = "// sessions: 2\n// assumption check: B checks.\n//   attack: confidentiality? m\n\
        principal B[\n\t// spec: a.md, Part\n\tchecked? //- check\n\t//+ check: leaks m\n]\n";

    fn report() -> Value {
        json!({"version": VERIFPAL_VERSION, "ok": true, "models": [{"ok": true, "analysis": {
        "sessions": 2, "code": "c0a1", "attacks": 1, "queries": [
            {"query": "confidentiality? m", "kind": "confidentiality", "resolved": false, "steps": [], "conclusion": "",
             "envelope": {"sessions": 2, "exhausted": true, "truncations": [], "summary": ""}},
            {"query": "authentication? A -> B: e", "kind": "authentication", "resolved": true, "steps": [{}],
             "conclusion": "forged", "envelope": {"sessions": 2, "exhausted": true, "truncations": [], "summary": ""}},
        ]}}]})
    }

    #[test]
    fn an_assumption_takes_lines_and_brings_lines() {
        let cases = cases_of("x", MODEL).unwrap();
        let [whole, without] = cases.as_slice() else { panic!("two cases") };
        assert_eq!((whole.sessions, without.sessions), (2, 1));
        assert!(whole.text.contains("\tchecked?\n") && !whole.text.contains("leaks"));
        assert!(!without.text.contains("checked?") && without.text.contains("\tleaks m\n"));
        assert_eq!(without.attacks, ["confidentiality? m"]);
        assert!(cases_of("x", &MODEL.replace("//- check", "//- chek")).unwrap_err().contains("chek"));
        assert!(cases_of("x", "// assumption idle: why\n").unwrap_err().contains("changes nothing"));
    }

    #[test]
    fn steps_without_a_section_that_exists_are_refused() {
        let section = |page: &str, heading: &str| page == "a.md" && heading == "Part";
        check_citations(MODEL, section).unwrap();
        assert!(check_citations(&MODEL.replace("Part", "Nothing"), section).unwrap_err().contains("a.md, Nothing"));
        assert!(
            check_citations(&MODEL.replace("// spec: a.md, Part\n", "\n"), section).unwrap_err().contains("line 5")
        );
        assert!(check_citations("principal A[leaks m]\n", section).unwrap_err().contains("line 1"));
    }

    #[test]
    fn a_report_of_another_form_is_a_failure_and_never_a_pass() {
        let read = |report: &Value| verdicts(&report.to_string(), 2);
        let attacked: Vec<bool> = read(&report()).unwrap().iter().map(|verdict| verdict.attacked).collect();
        assert_eq!(attacked, [false, true]);
        for (pointer, value) in [
            ("/version", json!("9.9.9")),
            ("/ok", json!(false)),
            ("/models", json!([])),
            ("/models/0/ok", json!(false)),
            ("/models/0/analysis/sessions", json!(1)),
            ("/models/0/analysis/code", json!("c0a0")),
            ("/models/0/analysis/attacks", json!(0)),
            ("/models/0/analysis/queries", json!([])),
            ("/models/0/analysis/queries/0/resolved", json!("no")),
            ("/models/0/analysis/queries/0/resolved", json!(true)),
            ("/models/0/analysis/queries/0/envelope/exhausted", json!(false)),
            ("/models/0/analysis/queries/0/envelope/truncations", json!(["term depth"])),
            ("/models/0/analysis/queries/1/kind", json!(null)),
        ] {
            let mut changed = report();
            *changed.pointer_mut(pointer).unwrap() = value;
            assert!(read(&changed).is_err(), "{pointer}");
        }
        assert!(verdicts("PASS", 2).is_err());
    }

    #[test]
    fn a_missing_attack_an_unexpected_one_and_an_unknown_query_fail() {
        let mut case = cases_of("x", MODEL).unwrap().remove(1);
        let found = |attacked| [Verdict { query: "confidentiality? m".to_owned(), attacked }];
        assert_eq!(judge(&case, &found(true)).0, Counts::PASSED);
        assert_eq!(judge(&case, &found(false)).0, Counts::FAILED);
        case.attacks.clear();
        assert_eq!(judge(&case, &found(true)).0, Counts::FAILED);
        case.attacks.push("confidentiality? n".to_owned());
        assert_eq!(judge(&case, &found(false)).0, Counts { passed: 1, failed: 1, skipped: 0 });
    }
}
