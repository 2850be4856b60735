//! Places where a test stops this process, to kill it there: between any two steps of what the server promises.
//!
//! Only with the feature `failpoints`, which no command that is installed has. Without it nothing of this is there.

/// Stops here if a test asks for it. Without the feature `failpoints` it is nothing.
macro_rules! fail_point {
    ($point:ident) => {
        #[cfg(feature = "failpoints")]
        $crate::fail_point::FailPoint::$point.reach();
    };
}

pub(crate) use fail_point;

macro_rules! fail_points {
    ($($(#[$documentation:meta])* $name:ident = $text:literal;)*) => {
        /// A place where the process can be stopped.
        #[cfg(feature = "failpoints")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum FailPoint { $($(#[$documentation])* $name,)* }

        #[cfg(feature = "failpoints")]
        impl FailPoint {
            /// All places.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name in the environment variable `FAILPOINTS`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

fail_points! {
    /// A submission has been admitted, nothing has been stored.
    BeforeSubmit = "before_submit";
    /// A submission is stored, nobody has been told.
    AfterSubmit = "after_submit";
    /// Prekeys are to be taken for somebody.
    BeforeTakePrekeys = "before_take_prekeys";
    /// Prekeys have been taken, nobody has got them.
    AfterTakePrekeys = "after_take_prekeys";
    /// A device's new prekeys have been verified, nothing has been stored.
    BeforePutPrekeys = "before_put_prekeys";
    /// A device's new prekeys are stored, it has not been told.
    AfterPutPrekeys = "after_put_prekeys";
    /// A queue is to be read.
    BeforeFetch = "before_fetch";
    /// Envelopes have been read, none has been pushed.
    AfterFetch = "after_fetch";
    /// An envelope has been pushed.
    AfterDelivery = "after_delivery";
    /// An acknowledgement has come, nothing has been removed.
    BeforeAcknowledge = "before_acknowledge";
    /// What was acknowledged is removed, the device has not been told.
    AfterAcknowledge = "after_acknowledge";
    /// A piece of a blob has come, nothing has been stored.
    BeforePutPiece = "before_put_piece";
    /// Pieces of blobs have been appended; none is on the disk.
    BeforePieceSync = "before_piece_sync";
    /// Pieces of blobs are on the disk, nothing refers to them.
    AfterPieceSync = "after_piece_sync";
    /// A piece of a blob is stored, nobody has been told.
    AfterPutPiece = "after_put_piece";
    /// A blob is gone, its pieces are still on the disk.
    BeforeSweep = "before_sweep";
    /// A large entry of a group log is on the disk, nothing refers to it.
    AfterEntryBody = "after_entry_body";
    /// An entry of a group log has been admitted, nothing has been stored.
    BeforeAppend = "before_append";
    /// An entry of a group log is stored, nobody has been told.
    AfterAppend = "after_append";
    /// Everything is on the disk, and those who watch queues and group logs have not been told.
    BeforeHints = "before_hints";
    /// An entry of a group log has been pushed.
    AfterGroupEntry = "after_group_entry";
    /// Operations have been worked out; no body is on the disk.
    BeforeBodySync = "before_body_sync";
    /// Bodies are on the disk, nothing refers to them.
    AfterBodySync = "after_body_sync";
    /// The records are to be put into the tree; readers know that they are in flight.
    BeforeApply = "before_apply";
    /// The records are in the tree, and in no file.
    AfterApply = "after_apply";
    /// sled has written its log, the file has not been synced.
    AfterFlush = "after_flush";
    /// Everything is on the disk, nobody has been told.
    AfterFileSync = "after_file_sync";
    /// The committer is to tell those who wait.
    BeforeCommitAnswer = "before_commit_answer";
    /// An answer is to be written to its stream.
    BeforeAnswer = "before_answer";
}

#[cfg(feature = "failpoints")]
impl FailPoint {
    /// Does what `FAILPOINTS` says for this place.
    ///
    /// `return(FILE)` makes that file, to tell so, and stops the calling thread for ever. `return(note FILE)` adds the
    /// place's name to the file and goes on: a trace of the process then shows what came before. `2*off->` in front lets
    /// it pass twice.
    pub(crate) fn reach(self) {
        let Some(Some(asked)) = fail::eval(self.name(), |asked| asked) else { return };
        if let Some(notes) = asked.strip_prefix("note ") {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(notes);
            // Without the note the test finds out by itself.
            let _ = file.and_then(|mut file| std::io::Write::write_all(&mut file, self.name().as_bytes()));
            return;
        }
        // Without the file the test finds out by its time limit.
        let _ = std::fs::write(asked, self.name());
        loop {
            std::thread::park();
        }
    }
}

/// Reads `FAILPOINTS` and keeps to it for as long as the result lives.
///
/// # Panics
/// If the variable cannot be read.
#[cfg(feature = "failpoints")]
#[must_use]
pub fn from_environment() -> fail::FailScenario<'static> {
    fail::FailScenario::setup()
}
