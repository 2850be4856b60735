//! `cargo xtask bench`: runs the bench programs and prints each measure beside named things of the same run.

mod catalogue;
mod languages;
mod values;

use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use serde_json::{Value, json};

use crate::process::{self, as_typed};
use crate::project::Project;
use catalogue::{Measure, PROGRAMS, Program, Reads, measures};
use values::Values;

/// Flags of `cargo xtask bench`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Print one JSON object on the standard output; the benches' own output goes to the standard error.
    #[arg(long)]
    json: bool,
    /// Only measures whose label or id contains one of these; all by default.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// A measure with what was measured.
#[derive(Debug)]
struct Row {
    measure: &'static Measure,
    value: Option<f64>,
    ratio: Option<f64>,
}

impl Row {
    fn of(measure: &'static Measure, values: &Values) -> Self {
        let value = values.get(measure.id);
        let parts: Option<f64> = measure.beside.iter().map(|(id, times)| values.get(id).map(|part| part * times)).sum();
        let ratio = value.zip(parts.filter(|parts| *parts > 0.0)).map(|(value, parts)| value / parts);
        Self { measure, value, ratio }
    }

    /// Whether it was measured, with all that it is compared to, and lies within its budget.
    fn holds(&self) -> bool {
        let Some(value) = self.value else { return false };
        let compared = self.measure.beside.is_empty() || self.ratio.is_some();
        compared && self.measure.budget.is_none_or(|budget| budget.holds(self.ratio.unwrap_or(value)))
    }
}

/// Runs the benches. Exit code 1 when a program fails, a measure is missing or a budget is overrun.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let wanted = |measure: &&Measure| {
        arguments.names.is_empty()
            || arguments
                .names
                .iter()
                .any(|name| measure.label.contains(name.as_str()) || measure.id.contains(name.as_str()))
    };
    let chosen: Vec<&'static Measure> = measures().filter(wanted).collect();
    if chosen.is_empty() {
        eprintln!("error: no measure is called so; the measures are:");
        measures().for_each(|measure| eprintln!("  {:<40} {}", measure.label, measure.id));
        return Ok(ExitCode::from(2));
    }
    let mut values = Values::default();
    let mut all_ran = true;
    for program in PROGRAMS {
        let ids: Vec<&str> =
            chosen.iter().flat_map(|measure| measure.ids()).filter(|id| program.measures(id)).collect();
        if !ids.is_empty() {
            all_ran &= run_program(project, program, if arguments.names.is_empty() { &[] } else { &ids }, &mut values)?;
        }
    }
    let ids: Vec<&str> = chosen.iter().flat_map(|measure| measure.ids()).collect();
    all_ran &= languages::run(project, &ids, &mut values);
    let rows: Vec<Row> = chosen.into_iter().map(|measure| Row::of(measure, &values)).collect();
    if arguments.json {
        println!("{:#}", as_json(&rows));
    } else {
        print_table(&rows);
    }
    Ok(if all_ran && rows.iter().all(Row::holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one program, all of it or the given ids, and takes its values.
fn run_program(
    project: &Project,
    program: &Program,
    ids: &[&str],
    values: &mut Values,
) -> Result<bool, process::ProcessError> {
    let start = SystemTime::now();
    let mut command = project.cargo(["bench", "--package", program.package, "--bench", program.bench, "--"]);
    match program.reads {
        Reads::Criterion if !ids.is_empty() => drop(command.arg(format!("^({})$", ids.join("|")))),
        Reads::Criterion | Reads::Lines => {}
        Reads::Json => drop(command.arg("--json")),
    }
    eprintln!("$ {}", as_typed(&command));
    let mut said = String::new();
    let done = process::listen(&mut command, |line| {
        eprintln!("{line}");
        values.see(line);
        said.push_str(line);
    })?;
    match program.reads {
        Reads::Criterion => values.read_criterion(&project.target().join("criterion"), start),
        Reads::Json => values.read_json(program.bench, &said),
        Reads::Lines => {}
    }
    Ok(done)
}

fn print_table(rows: &[Row]) {
    println!("{:<40} {:>14}  {:>8}  {:<14} beside", "measure", "value", "ratio", "budget");
    for row in rows {
        let value = row.value.map_or_else(|| "not measured".to_owned(), |value| row.measure.unit.show(value));
        let ratio = row.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        let over = if row.holds() { "" } else { " OVER" };
        let budget =
            row.measure.budget.map_or_else(|| "-".to_owned(), |budget| format!("{}{over}", row.measure.show(budget)));
        let part = |(id, times): &(&str, f64)| if *times == 1.0 { (*id).to_owned() } else { format!("{times} x {id}") };
        let beside: Vec<String> = row.measure.beside.iter().map(part).collect();
        println!("{:<40} {value:>14}  {ratio:>8}  {budget:<14} {}", row.measure.label, beside.join(" + "));
    }
}

fn as_json(rows: &[Row]) -> Value {
    let row = |row: &Row| {
        json!({
            "label": row.measure.label, "id": row.measure.id, "value": row.value, "unit": row.measure.unit.name(), "ratio": row.ratio,
            "beside": row.measure.beside, "budget": row.measure.budget.map(|budget| row.measure.show(budget)), "holds": row.holds(),
        })
    };
    json!({ "ok": rows.iter().all(Row::holds), "measures": rows.iter().map(row).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::catalogue::{Budget, Unit};
    use super::*;

    static COMPARED: Measure = Measure {
        label: "seal",
        id: "a/seal",
        unit: Unit::Nanoseconds,
        beside: &[("a/aead", 2.0), ("a/kdf", 1.0)],
        budget: Some(Budget::AtMost(1.6)),
    };
    static ALONE: Measure = Measure {
        label: "rate",
        id: "s/rate",
        unit: Unit::PerSecond,
        beside: &[],
        budget: Some(Budget::AtLeast(10_000.0)),
    };

    #[test]
    fn a_ratio_is_to_the_sum_of_the_parts() {
        let mut values = Values::default();
        for line in ["value a/seal 150", "value a/aead 40", "value a/kdf 20", "value s/rate 9999.5"] {
            values.see(line);
        }
        let row = Row::of(&COMPARED, &values);
        assert_eq!((row.value, row.ratio), (Some(150.0), Some(1.5)));
        assert!(row.holds());
        assert!(!Row::of(&ALONE, &values).holds());
        values.see("value a/seal 161");
        assert!(!Row::of(&COMPARED, &values).holds());
        assert_eq!(as_json(&[row])["measures"][0]["ratio"], 1.5);
    }

    #[test]
    fn what_was_not_measured_does_not_hold() {
        let mut values = Values::default();
        assert!(!Row::of(&COMPARED, &values).holds());
        values.see("value a/seal 1");
        values.see("value a/aead 1");
        assert!(!Row::of(&COMPARED, &values).holds(), "a part is missing");
    }
}
