/**
 * <feedback-keys>: what a person says of a verdict, kept by one key or one click, without leaving the page.
 *
 * Its forms work without this; here they are sent in the background, one after the other.
 */

import { isTyping } from "./pages.js";

class FeedbackKeys extends HTMLElement {
  #last = Promise.resolve();

  connectedCallback() {
    this.addEventListener("submit", this);
    document.addEventListener("keydown", this);
    this.setAttribute("ready", "");
  }

  disconnectedCallback() {
    document.removeEventListener("keydown", this);
  }

  handleEvent(event) {
    if (event.type === "submit") this.#submit(event);
    else if (!isTyping(event)) this.#key(event);
  }

  #key(event) {
    const wanted = { y: "[data-right]", z: "[data-undo]:not([hidden]) button" }[event.key] ?? (/^[1-9]$/.test(event.key) ? `[data-key="${event.key}"]` : null);
    const button = wanted && this.querySelector(wanted);
    if (!button) return;
    event.preventDefault();
    button.click();
  }

  #submit(event) {
    event.preventDefault();
    const { target: form, submitter } = event;
    const body = new URLSearchParams(new FormData(form, submitter));
    this.#last = this.#last.then(() => this.#send(form, body)).catch((error) => this.#say(error.message));
  }

  async #send(form, body) {
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body, headers: { Accept: "application/json" } });
    const found = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(found.detail ?? `This was not kept (${answer.status}).`);
    const undo = this.querySelector("[data-undo]");
    undo.hidden = !found.id;
    if (found.id) undo.action = `/feedback/${found.id}/withdraw`;
    for (const button of this.querySelectorAll("button[name=category]")) {
      button.setAttribute("aria-pressed", String(button.value === found.category));
    }
    this.#say(found.said);
    this.dispatchEvent(new CustomEvent("said", { detail: found, bubbles: true }));
  }

  #say(text) {
    this.querySelector("[data-said]").textContent = text;
  }
}

customElements.define("feedback-keys", FeedbackKeys);
