//! `medipeps-wasm-bench LENGTH WORK ROUNDS`: prints how many milliseconds the rounds took.

use std::process::ExitCode;
use std::time::Instant;

use medipeps_wasm_bench::Conversation;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [length, work, rounds] = arguments.as_slice() else { return ExitCode::from(2) };
    let (Ok(length), Ok(rounds)) = (length.parse(), rounds.parse()) else { return ExitCode::from(2) };
    let mut conversation = Conversation::new(length);
    let work = match work.as_str() {
        "encrypt" => Conversation::encrypt,
        "decrypt" => Conversation::decrypt,
        "begin" => Conversation::begin,
        _ => return ExitCode::from(2),
    };
    let begun = Instant::now();
    work(&mut conversation, rounds);
    println!("{}", begun.elapsed().as_secs_f64() * 1000.0);
    ExitCode::SUCCESS
}
