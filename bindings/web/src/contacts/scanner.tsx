// Reads a QR code by the camera, or from a picture.

import { useSignal } from "@preact/signals";
import { Notice } from "@medipeps/ui";
import { useEffect, useRef } from "preact/hooks";

import { texts } from "../texts.ts";

/** How often a picture of the camera is looked at, in milliseconds. */
const PAUSE = 250;
/** A larger picture is made smaller before it is searched. */
const WIDEST = 1600;

/** `onText` gets what the first code that is found says. Whoever has no camera types or pastes: that is beside this. */
export function Scanner({ onText }: { onText: (text: string) => void }) {
  const said = texts().scanner;
  const on = useSignal(false);
  const problem = useSignal<string | undefined>(undefined);
  const input = useRef<HTMLInputElement>(null);
  const fromPicture = async (file: File) => {
    problem.value = undefined;
    try {
      const text = await codeIn(await createImageBitmap(file));
      if (text === undefined) {
        problem.value = said.nothing;
      } else {
        onText(text);
      }
    } catch {
      problem.value = said.noPicture;
    }
  };
  return (
    <div class="scanner">
      <div class="mp-row">
        {navigator.mediaDevices !== undefined && (
          <button type="button" aria-pressed={on.value} onClick={() => (on.value = !on.value)}>
            {on.value ? said.stop : said.camera}
          </button>
        )}
        <button type="button" onClick={() => input.current?.click()}>
          {said.picture}
        </button>
      </div>
      <input
        ref={input}
        type="file"
        accept="image/*"
        hidden
        aria-label={said.picture}
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          event.currentTarget.value = "";
          if (file !== undefined) {
            void fromPicture(file);
          }
        }}
      />
      {on.value && (
        <Camera
          onText={(text) => {
            on.value = false;
            onText(text);
          }}
          onProblem={() => {
            on.value = false;
            problem.value = said.noCamera;
          }}
        />
      )}
      {problem.value !== undefined && <Notice problem>{problem.value}</Notice>}
    </div>
  );
}

function Camera({ onText, onProblem }: { onText: (text: string) => void; onProblem: () => void }) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    let over = false;
    let stream: MediaStream | undefined;
    const watch = async () => {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      const element = video.current;
      if (over || element === null) {
        stream.getTracks().forEach((track) => track.stop());
        return;
      }
      element.srcObject = stream;
      await element.play();
      while (!over) {
        const text = element.videoWidth > 0 ? await codeIn(await createImageBitmap(element)) : undefined;
        if (text !== undefined && !over) {
          onText(text);
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
    };
    watch().catch(() => {
      // The view may have gone meanwhile, which is no problem of the camera's.
      if (!over) {
        onProblem();
      }
    });
    return () => {
      over = true;
      stream?.getTracks().forEach((track) => track.stop());
    };
  }, []);
  return <video ref={video} class="camera" muted playsInline aria-label={texts().scanner.view} />;
}

/** What TypeScript's DOM does not know yet: Chromium on phones, macOS and ChromeOS has it. */
declare class BarcodeDetector {
  constructor(options: { formats: readonly string[] });
  detect(picture: ImageBitmap): Promise<readonly { rawValue: string }[]>;
  static getSupportedFormats(): Promise<readonly string[]>;
}

/** The text of the QR code in a picture, by the browser itself where it can. */
async function codeIn(picture: ImageBitmap): Promise<string | undefined> {
  if ("BarcodeDetector" in window && (await BarcodeDetector.getSupportedFormats()).includes("qr_code")) {
    return (await new BarcodeDetector({ formats: ["qr_code"] }).detect(picture))[0]?.rawValue;
  }
  const { decodeQR } = await import("qr/decode.js");
  const scale = Math.min(1, WIDEST / picture.width);
  const [width, height] = [Math.round(picture.width * scale), Math.round(picture.height * scale)];
  const context = new OffscreenCanvas(width, height).getContext("2d");
  if (context === null) {
    return undefined;
  }
  context.drawImage(picture, 0, 0, width, height);
  try {
    return decodeQR(context.getImageData(0, 0, width, height));
  } catch {
    // It throws where there is no code.
    return undefined;
  }
}
