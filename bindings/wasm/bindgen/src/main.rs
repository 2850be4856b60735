//! `medipeps-wasm-bindgen [--without-names] FILE.wasm FOLDER`: an ES module with types, for browsers. The names of functions serve
//! whoever reads a stack trace, and take a tenth of the file.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let (flags, arguments): (Vec<OsString>, Vec<OsString>) =
        std::env::args_os().skip(1).partition(|argument| argument == "--without-names");
    let [input, out] = arguments.as_slice() else {
        eprintln!("medipeps-wasm-bindgen [--without-names] FILE.wasm FOLDER");
        return ExitCode::from(2);
    };
    let mut generator = wasm_bindgen_cli_support::Bindgen::new();
    generator.remove_name_section(!flags.is_empty()).remove_producers_section(!flags.is_empty());
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
