//! The command `medipeps`.

fn main() -> std::process::ExitCode {
    medipeps_client::cli::main()
}
