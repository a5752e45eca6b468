/**
 * <job-progress src>: follows a job by its events, with its log; <job-state src> shows its state only.
 *
 * What the server has drawn stays until news come. When the job has ended, the page is loaded once more for its links.
 */

const ENDED = ["succeeded", "failed", "cancelled", "dead"];
const LEVELS = { queued: "open", running: "low", succeeded: "none", failed: "high", dead: "high", cancelled: "open" };

class JobState extends HTMLElement {
  connectedCallback() {
    if (this.hasAttribute("ended")) return;
    this.events = new EventSource(this.getAttribute("src"));
    this.events.addEventListener("job", ({ data }) => this.news(JSON.parse(data)));
  }

  disconnectedCallback() {
    this.events?.close();
  }

  news(job) {
    const pill = this.querySelector("[data-state]");
    pill.textContent = job.state;
    pill.className = `pill ${LEVELS[job.state] ?? "open"}`;
    if (ENDED.includes(job.state)) this.ended();
  }

  ended() {
    this.events.close();
    this.setAttribute("ended", "");
  }
}

class JobProgress extends JobState {
  #lines = 0;

  connectedCallback() {
    this.setAttribute("role", "region");
    this.setAttribute("aria-label", "Progress of the job");
    super.connectedCallback();
  }

  news(job) {
    const { done, total, message } = job.progress;
    const bar = this.querySelector("progress");
    if (total) Object.assign(bar, { max: total, value: done });
    else if (job.state === "running") bar.removeAttribute("value");
    else bar.value = job.state === "succeeded" ? bar.max : 0;
    this.querySelector("[data-message]").textContent = message ?? "";
    this.querySelector("[data-numbers]").textContent = total ? `${done} of ${total}` : "";
    const error = this.querySelector("[data-error]");
    error.textContent = job.error ?? "";
    error.hidden = !job.error;
    this.#log();
    super.news(job);
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

  ended() {
    super.ended();
    // The page has other links for a job that has ended: the model, another try.
    setTimeout(() => location.reload(), 600);
  }
}

customElements.define("job-state", JobState);
customElements.define("job-progress", JobProgress);
