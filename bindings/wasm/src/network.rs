//! What `js/network.js` does for this crate.

use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::host::text;

#[wasm_bindgen(module = "/js/network.js")]
extern "C" {
    /// A WebSocket.
    #[derive(Debug, Clone)]
    pub(crate) type Socket;

    #[wasm_bindgen(constructor, catch)]
    fn connect_socket(url: &str, protocol: &str) -> Result<Socket, JsValue>;

    #[wasm_bindgen(method, js_name = opened, catch)]
    async fn socket_opened(this: &Socket) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method)]
    pub(crate) fn send(this: &Socket, bytes: &[u8]);

    #[wasm_bindgen(method, js_name = next, catch)]
    async fn next(this: &Socket) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method)]
    pub(crate) fn close(this: &Socket);

    /// A session of WebTransport.
    #[derive(Debug, Clone)]
    pub(crate) type Session;

    #[wasm_bindgen(constructor, catch)]
    fn connect_session(url: &str, hashes: &Array) -> Result<Session, JsValue>;

    #[wasm_bindgen(method, js_name = opened, catch)]
    async fn session_opened(this: &Session) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, js_name = closed, catch)]
    async fn session_closed(this: &Session) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, js_name = stream)]
    fn open_stream(this: &Session, bytes: &Uint8Array) -> Stream;

    /// Asks the server for a sign of life.
    #[wasm_bindgen(method)]
    pub(crate) fn ask(this: &Session) -> Promise;

    #[wasm_bindgen(method)]
    fn signs(this: &Session) -> f64;

    /// How many milliseconds ago the last sign of life came.
    #[wasm_bindgen(method)]
    pub(crate) fn silence(this: &Session) -> f64;

    #[wasm_bindgen(method)]
    pub(crate) fn close(this: &Session);

    /// A stream of both directions.
    #[derive(Debug)]
    pub(crate) type Stream;

    #[wasm_bindgen(method, js_name = opened, catch)]
    async fn stream_opened(this: &Stream) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, js_name = next)]
    fn next(this: &Stream) -> Promise;

    #[wasm_bindgen(method, js_name = letGo)]
    pub(crate) fn let_go(this: &Stream);
}

impl Socket {
    /// Begins to connect.
    pub(crate) fn connect(url: &str, protocol: &str) -> Result<Self, String> {
        Self::connect_socket(url, protocol).map_err(|error| text(&error))
    }

    /// Waits until it is open.
    pub(crate) async fn opened(&self) -> Result<(), String> {
        self.socket_opened().await.map(drop).map_err(|error| text(&error))
    }

    /// The next message, or why there is none any more.
    pub(crate) async fn next_message(&self) -> Result<Vec<u8>, String> {
        match self.next().await {
            Ok(message) => match message.dyn_ref::<Uint8Array>() {
                Some(bytes) => Ok(bytes.to_vec()),
                None => Err(message.as_string().unwrap_or_default()),
            },
            Err(error) => Err(text(&error)),
        }
    }
}

impl Session {
    /// Begins to connect. With hashes of certificates (SHA-256) one of these is asked for; without, one of the Web's PKI.
    pub(crate) fn connect(url: &str, certificate_hashes: &[[u8; 32]]) -> Result<Self, String> {
        let hashes: Array = certificate_hashes.iter().map(|hash| Uint8Array::from(&hash[..])).collect();
        Self::connect_session(url, &hashes).map_err(|error| text(&error))
    }

    /// Waits until it is open.
    pub(crate) async fn opened(&self) -> Result<(), String> {
        self.session_opened().await.map(drop).map_err(|error| text(&error))
    }

    /// Waits until it is gone, and tells why.
    pub(crate) async fn closed(&self) -> String {
        let said = self.session_closed().await;
        said.ok().and_then(|why| why.as_string()).unwrap_or_default()
    }

    /// A stream with these bytes on it.
    pub(crate) fn stream(&self, bytes: &[u8]) -> Stream {
        // A copy outside of this module's memory: it may move while they are written.
        self.open_stream(&Uint8Array::from(bytes))
    }

    /// How many signs of life there were.
    pub(crate) fn arrivals(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, far below 2^53")]
        let signs = self.signs() as u64;
        signs
    }
}

impl Stream {
    /// Waits until it is open.
    pub(crate) async fn opened(&self) -> Result<(), String> {
        self.stream_opened().await.map(drop).map_err(|error| text(&error))
    }

    /// What comes next: bytes, or nothing where the stream ends ([`Self::part`]).
    pub(crate) fn read(&self) -> JsFuture {
        self.next().into()
    }

    /// What [`Self::read`] gave: appended to `buffer`; `false` where the stream ends.
    pub(crate) fn part(read: Result<JsValue, JsValue>, buffer: &mut Vec<u8>) -> Result<bool, String> {
        let part = read.map_err(|error| text(&error))?;
        let Some(bytes) = part.dyn_ref::<Uint8Array>() else { return Ok(false) };
        let begins = buffer.len();
        buffer.resize(begins + bytes.length() as usize, 0);
        bytes.copy_to(&mut buffer[begins..]);
        Ok(true)
    }
}
