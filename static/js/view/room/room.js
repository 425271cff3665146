/** A class's room: the door, and then the part of whoever came in. */

import { useEffect, useState } from "preact/hooks";

import { html } from "../html.js";
import * as net from "../../net/room.js";
import * as state from "../../state/room.js";
import * as store from "../../state/store.js";
import { Lecturer } from "./lecturer.js";
import { Projector } from "./projector.js";
import { Student } from "./student.js";

export function Room() {
  const code = store.room.value ?? "";
  const [known, setKnown] = useState(code !== "" && net.isKnown(code));
  useEffect(() => {
    if (code && net.isKnown(code)) {
      setKnown(true);
      net.enter(code);
    }
  }, [code]);
  const role = state.role.value;
  useEffect(() => {
    if (!role) return;
    document.documentElement.dataset.room = role;
    return () => void delete document.documentElement.dataset.room;
  }, [role]);
  if (state.ended.value) return html`<${Ended} />`;
  if (role === "lecturer") return html`<${Lecturer} />`;
  if (role === "projector") return html`<${Projector} />`;
  if (role === "student") return html`<${Student} />`;
  if (known && code) return html`<p class="room-strip" role="status">Going into room <b>${code}</b> …</p>`;
  return html`<${Door} code=${code} joined=${() => setKnown(true)} />`;
}

/** Who has no place in the room yet: join it, or open one. @param {{code: string, joined: () => void}} props */
function Door({ code, joined }) {
  const [typed, type] = useState(code);
  const [nickname, setNickname] = useState("");
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const [admin, setAdmin] = useState(/** @type {string|null} */ (null));
  useEffect(() => type(code), [code]);
  const act = async (/** @type {() => Promise<any>} */ what) => {
    setBusy(true);
    setWrong("");
    await what().catch(error => {
      if (error.status === 403 && admin === null) setAdmin("");
      else setWrong(error.status ? error.message : "The server cannot be reached.");
    });
    setBusy(false);
  };
  const join = (/** @type {Event} */ event) => {
    event.preventDefault();
    const to = typed.replace(/[\s-]/g, "").toUpperCase();
    void act(async () => {
      await net.join(to, nickname.trim());
      store.enterRoom(to);
      joined();
    });
  };
  const open = (/** @type {Event} */ event) => {
    event.preventDefault();
    void act(() => net.open(admin ?? undefined));
  };
  return html`<section class="room-door" aria-labelledby="room-door-title">
    <div class="room-head"><h2 id="room-door-title">${code ? html`Room <b>${code}</b>` : "A room for a class"}</h2>
      <button type="button" class="close" aria-label="Close" onClick=${net.leave}>×</button></div>
    <form onSubmit=${join}>
      ${
        !code &&
        html`<label>Code <input class="code" name="code" value=${typed} maxlength="9" required autocomplete="off"
          autocapitalize="characters" spellcheck="false"
          onInput=${(/** @type {any} */ event) => type(event.currentTarget.value)} /></label>`
      }
      <label>Nickname <span class="soft">or stay a number</span>
        <input name="nickname" value=${nickname} maxlength="24" autocomplete="off" spellcheck="false"
          onInput=${(/** @type {any} */ event) => setNickname(event.currentTarget.value)} /></label>
      <button type="submit" class="button primary" disabled=${busy}>Join</button>
      <p class="soft">No account. When the room ends, everything about you is forgotten.</p>
    </form>
    ${
      !code &&
      html`<form class="opening" onSubmit=${open}>
        <h3>Do you teach?</h3>
        ${
          admin !== null &&
          html`<label>The lecturer’s token <span class="soft">which the server printed at its start</span>
            <input name="token" value=${admin} autocomplete="off" required
              onInput=${(/** @type {any} */ event) => setAdmin(event.currentTarget.value)} /></label>`
        }
        <button type="submit" class="button" disabled=${busy}>Open a room</button>
        <p class="soft">Your class follows what you show on its own phones, and answers your questions.</p>
      </form>`
    }
    <p class="wrong" role="alert">${wrong}</p>
  </section>`;
}

function Ended() {
  return html`<section class="room-door" aria-labelledby="room-ended-title">
    <h2 id="room-ended-title">This room has ended.</h2>
    <p>Everything about it is deleted on the server. What you were looking at stays here.</p>
    <button type="button" class="button primary" onClick=${net.leave}>Go on alone</button>
  </section>`;
}
