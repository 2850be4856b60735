//! Places where a test stops this process, to kill it there: between any two steps of sending and of receiving.
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
    /// An event is to be handled, nothing has been read yet.
    BeforeLoad = "before_load";
    /// The engine has decided, nothing has been written.
    BeforeCommit = "before_commit";
    /// The event is on the disk, nothing has been shown or sent.
    AfterCommit = "after_commit";
    /// The event has been shown, nothing has been sent.
    AfterShow = "after_show";
    /// The device is to be proved.
    BeforeProof = "before_proof";
    /// The server has taken the proof.
    AfterProof = "after_proof";
    /// A request is to be sent, the connection stands.
    BeforeRequest = "before_request";
    /// The server has answered, the answer has not been handled.
    AfterReply = "after_reply";
    /// Envelopes are committed, the server is to be told.
    BeforeAcknowledge = "before_acknowledge";
    /// The queue's push is to be opened.
    BeforeSubscribe = "before_subscribe";
    /// Envelopes have come, nothing has been done about them.
    AfterDelivery = "after_delivery";
    /// A sealed copy is on the disk, nothing of its message is in the store.
    AfterSealedCopy = "after_sealed_copy";
    /// An upload is to be begun at the server, or gone on with.
    BeforeUploadBegin = "before_upload_begin";
    /// The digest of a part is in the store, nothing of the part has left.
    AfterPartDigest = "after_part_digest";
    /// A piece of a blob is to be sent.
    BeforePiece = "before_piece";
    /// The server has a piece on its disk.
    AfterPiece = "after_piece";
    /// The server has all pieces, the store does not know.
    BeforeUploadDone = "before_upload_done";
    /// The end of a blob is to be fetched.
    BeforeFetch = "before_fetch";
    /// A part of a blob has been written to the file that is not whole yet.
    AfterFetchedPart = "after_fetched_part";
    /// A file is whole and on the disk, and has not its name.
    BeforeFinalName = "before_final_name";
    /// A file has its name, and its former one too.
    AfterFinalName = "after_final_name";
    /// A body is on the disk, the store does not know.
    BeforeBodyStored = "before_body_stored";
    /// A backup has been begun beside its place.
    DuringBackup = "during_backup";
    /// All of a backup is copied, the new device has not been drawn.
    AfterRestoreCopied = "after_restore_copied";
    /// The statement that lists a restored device is to be sent.
    BeforeRestorePublish = "before_restore_publish";
    /// The server has taken it, the store does not know.
    AfterRestorePublish = "after_restore_publish";
    /// A folder is marked as being wiped, nothing has been destroyed.
    AfterWipeMark = "after_wipe_mark";
    /// The keys of a folder are overwritten, nothing has been removed.
    AfterKeysDestroyed = "after_keys_destroyed";
    /// The store is removed, the rest is not.
    AfterStoreRemoved = "after_store_removed";
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
