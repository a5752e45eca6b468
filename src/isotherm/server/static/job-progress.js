/**
 * <job-progress src>: follows a job by its events, with its log; <job-list> keeps a list of jobs up to date.
 *
 * What the server has drawn stays until news come. When the job has ended, the page is loaded once more for its links.
 * A list asks for itself now and then: a stream for each of its jobs would take all connections that a browser has.
 */

import { nodesOf } from "./pages.js";

const ENDED = ["succeeded", "failed", "cancelled", "dead"];
const LEVELS = { queued: "open", running: "low", succeeded: "none", failed: "high", dead: "high", cancelled: "open" };
const LIST_MS = 3000;

class JobProgress extends HTMLElement {
  #lines = 0;

  connectedCallback() {
    this.setAttribute("role", "region");
    this.setAttribute("aria-label", "Progress of the job");
    if (this.hasAttribute("ended")) return;
    this.events = new EventSource(this.getAttribute("src"));
    this.events.addEventListener("job", ({ data }) => this.#news(JSON.parse(data)));
  }

  disconnectedCallback() {
    this.events?.close();
  }

  #news(job) {
    const { done, total, message } = job.progress;
    const bar = this.querySelector("progress"), pill = this.querySelector("[data-state]");
    pill.textContent = job.state;
    pill.className = `pill ${LEVELS[job.state] ?? "open"}`;
    if (total) Object.assign(bar, { max: total, value: done });
    else if (job.state === "running") bar.removeAttribute("value");
    else bar.value = job.state === "succeeded" ? bar.max : 0;
    this.querySelector("[data-message]").textContent = message ?? "";
    this.querySelector("[data-numbers]").textContent = total ? `${done} of ${total}` : "";
    const error = this.querySelector("[data-error]");
    error.textContent = job.error ?? "";
    error.hidden = !job.error;
    this.#log();
    if (ENDED.includes(job.state)) this.#ended();
  }

  async #log() {
    const answer = await fetch(`${this.dataset.log}?after=${this.#lines}`, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const items = await answer.json();
    if (!items.length) return;
    const box = this.querySelector("[data-lines]");
    if (!this.#lines) box.textContent = "";
    // Two answers may have been under way at once.
    const fresh = items.filter(({ number }) => number > this.#lines);
    this.#lines = items.at(-1).number;
    box.append(fresh.map(({ text }) => `${text}\n`).join(""));
    box.scrollTop = box.scrollHeight;
  }

  #ended() {
    this.events.close();
    this.setAttribute("ended", "");
    // The page has other links for a job that has ended: the model, another try.
    setTimeout(() => location.reload(), 600);
  }
}

class JobList extends HTMLElement {
  connectedCallback() {
    this.timer = setInterval(() => this.#renew(), LIST_MS);
  }

  disconnectedCallback() {
    clearInterval(this.timer);
  }

  async #renew() {
    // Nothing is taken from under somebody's hands.
    if (document.hidden || this.contains(document.activeElement) || !this.querySelector("[data-open]")) return;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
    if (!answer?.ok) return;
    const fresh = nodesOf(await answer.text()).map((node) => node.querySelector("job-list")).find(Boolean);
    if (fresh && !this.contains(document.activeElement)) this.replaceChildren(...fresh.childNodes);
  }
}

customElements.define("job-list", JobList);
customElements.define("job-progress", JobProgress);
