//! Two attempts at the same thing, one with a head start: how a client finds out which transport a network lets through.

use std::pin::pin;

use futures_util::future::{Either, select};

/// What comes first of two attempts. The second begins after the head start, or at once when the first has failed; whichever loses is
/// dropped. `both` tells why neither succeeded.
///
/// # Errors
/// What `both` makes of the two errors.
pub async fn race<T, E>(
    first: impl Future<Output = Result<T, E>>,
    second: impl Future<Output = Result<T, E>>,
    head_start: impl Future<Output = ()>,
    both: impl FnOnce(E, E) -> E,
) -> Result<T, E> {
    let (mut first, second) = (pin!(first), pin!(second));
    if let Either::Left((outcome, _)) = select(&mut first, pin!(head_start)).await {
        return match outcome {
            Ok(won) => Ok(won),
            Err(error) => second.await.map_err(|other| both(error, other)),
        };
    }
    match select(first, second).await {
        Either::Left((Ok(won), _)) | Either::Right((Ok(won), _)) => Ok(won),
        Either::Left((Err(error), second)) => second.await.map_err(|other| both(error, other)),
        Either::Right((Err(other), first)) => first.await.map_err(|error| both(error, other)),
    }
}

#[cfg(all(test, feature = "native"))]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::time::sleep;

    use super::*;

    async fn after(milliseconds: u64, outcome: Result<u8, &'static str>) -> Result<u8, String> {
        sleep(Duration::from_millis(milliseconds)).await;
        outcome.map_err(str::to_owned)
    }

    #[tokio::test]
    async fn the_first_has_a_head_start_and_the_faster_wins() {
        let head_start = Duration::from_millis(300);
        let both = |first, second| format!("{first}; {second}");
        for (first, second, outcome, at_least) in [
            (after(100, Ok(1)), after(0, Ok(2)), Ok(1), 100),
            (after(2000, Ok(1)), after(0, Ok(2)), Ok(2), 300),
            (after(400, Ok(1)), after(1000, Ok(2)), Ok(1), 400),
            (after(10, Err("silence")), after(10, Ok(2)), Ok(2), 20),
            (after(400, Err("refused")), after(300, Ok(2)), Ok(2), 600),
            (after(600, Ok(1)), after(10, Err("refused")), Ok(1), 600),
            (after(400, Err("refused")), after(300, Err("silence")), Err("refused; silence".to_owned()), 600),
            (after(600, Err("silence")), after(10, Err("refused")), Err("silence; refused".to_owned()), 600),
        ] {
            let begun = Instant::now();
            assert_eq!(race(first, second, sleep(head_start), both).await, outcome);
            assert!(begun.elapsed() >= Duration::from_millis(at_least));
        }
    }
}
