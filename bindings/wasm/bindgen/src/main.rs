//! `medipeps-wasm-bindgen FILE.wasm FOLDER`: an ES module with types, for browsers.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(input), Some(out), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        eprintln!("medipeps-wasm-bindgen FILE.wasm FOLDER");
        return ExitCode::from(2);
    };
    let mut generator = wasm_bindgen_cli_support::Bindgen::new();
    let generated =
        generator.web(true).and_then(|generator| generator.input_path(input).typescript(true).generate(out));
    match generated {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
