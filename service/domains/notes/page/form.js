/** A form for a note, which keeps what was typed until it is saved. */

import { insist, newKey, write } from "/static/client.js";

export const sameContent = (one, other) => one.title === other.title && one.body === other.body;

export class Form {
	trying = null;
	key = newKey();

	constructor(element, onsubmit, oncancel) {
		const { title, body, submit, cancel } = element.elements;
		Object.assign(this, { element, title, body, submit, cancel, message: element.querySelector(".message") });
		element.onsubmit = (event) => {
			event.preventDefault();
			if (!this.trying && this.check()) onsubmit();
		};
		element.onkeydown = ({ key, ctrlKey, metaKey }) => {
			if (key === "Enter" && (ctrlKey || metaKey)) element.requestSubmit();
			if (key === "Escape" && oncancel && !this.trying && sameContent(this.content, this.given)) oncancel();
		};
		cancel.onclick = () => (this.trying ? this.trying.abort() : oncancel());
		element.oninput = () => {
			title.removeAttribute("aria-invalid");
			this.key = newKey(); // the same text after a stop is the same note, another text is another one
		};
	}

	get content() {
		return { title: this.title.value, body: this.body.value };
	}

	set content(given) {
		this.given = given;
		this.title.value = given.title;
		this.body.value = given.body;
	}

	/** What is typed and not saved, to be kept while the page is left. */
	get draft() {
		return { ...this.content, key: this.key };
	}

	set draft({ title, body, key }) {
		this.title.value = title;
		this.body.value = body;
		this.key = key;
	}

	say(text, bad) {
		write(this.message, text, bad);
	}

	/** Show why the note was not saved. */
	explain(answer) {
		if (answer) this.say(answer.data?.detail ?? `Not saved: the service answered ${answer.status}.`, true);
	}

	check() {
		if (this.title.value) return true;
		this.title.ariaInvalid = true;
		this.say("A note needs a title.", true);
		this.title.focus();
		return false;
	}

	/** Repeat until answered; null if stopped. The focus stays where it is. */
	async save(path, options) {
		const { signal } = (this.trying = new AbortController());
		this.lock(true);
		this.say("");
		const waiting = () => this.say("No answer yet. Trying again until it is saved.");
		const answer = await insist(path, { ...options, signal }, waiting).catch(() => null);
		this.say(answer ? "" : "Stopped. The note may have been saved anyway.");
		this.trying = null;
		this.lock(false);
		return answer;
	}

	lock(locked) {
		this.title.readOnly = this.body.readOnly = locked;
		this.submit.ariaDisabled = locked;
	}

	/** Create the note, once, however often it is sent. */
	async create() {
		const headers = { "idempotency-key": this.key };
		const answer = await this.save("/notes", { method: "POST", json: this.content, headers });
		if (answer?.status !== 201) return this.explain(answer);
		this.key = newKey();
		return answer.data;
	}
}
