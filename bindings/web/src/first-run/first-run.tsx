// A browser without an account: link it to one, make one, or get one back.

import { useSignal } from "@preact/signals";
import { Notice } from "@medipeps/ui";

import { texts } from "../texts.ts";
import { BecomeDevice } from "./become-device.tsx";
import { CreateAccount } from "./create-account.tsx";
import { RecoverAccount } from "./recover-account.tsx";

type Way = "link" | "create" | "recover";
const WAYS: readonly Way[] = ["link", "create", "recover"];

/** `lost`: there was an account here, and the browser has deleted it. */
export function FirstRun({ lost }: { lost: boolean }) {
  const way = useSignal<Way | undefined>(undefined);
  const said = texts().firstRun;
  const back = () => {
    way.value = undefined;
  };
  switch (way.value) {
    case "link":
      return <BecomeDevice anew={lost} onBack={back} />;
    case "create":
      return <CreateAccount onBack={back} />;
    case "recover":
      return <RecoverAccount onBack={back} />;
    default:
      return (
        <>
          <h1>{lost ? said.lostTitle : said.title}</h1>
          {lost ? <Notice problem>{said.lost}</Notice> : <p>{said.intro}</p>}
          <ul class="ways">
            {WAYS.map((one) => (
              <li key={one}>
                <h2>{said.ways[one].title}</h2>
                <p>{said.ways[one].intro}</p>
                <button type="button" class={one === (lost ? "link" : "create") ? "mp-first" : ""} onClick={() => (way.value = one)}>
                  {said.ways[one].go}
                </button>
              </li>
            ))}
          </ul>
        </>
      );
  }
}
