// A QR code, drawn.

import { useMemo } from "preact/hooks";
import encodeQR from "qr";

/** Modules of white around a code, as the standard asks. */
const BORDER = 4;

/** A text as a QR code. `label` says to a screen reader what it is; the text itself is shown beside it. */
export function QrCode({ text, label }: { text: string; label: string }) {
  const { size, path } = useMemo(() => {
    const rows = encodeQR(text, "raw", { border: BORDER });
    const modules = rows.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : "")));
    return { size: rows.length, path: modules.join("") };
  }, [text]);
  return (
    <svg class="mp-qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shapeRendering="crispEdges">
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}
