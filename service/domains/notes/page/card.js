/** A note in the list: shown, being edited, or just deleted. */

import { $, announce, insist, make, write } from "/static/client.js";
import { Form, sameContent } from "./form.js";

const UNDO_FOR = 60_000; // ms
const REFUSED = [401, 403]; // to the user, or to nobody

const when = (time) => new Date(time).toLocaleString("en-GB", { timeStyle: "short", dateStyle: "medium" });

export class Card {
	constructor(note, list) {
		this.element = make("li", { className: "card" });
		this.list = list;
		this.show(note);
	}

	/** Whether it is being edited or deleted. */
	get inUse() {
		return this.state !== "shown";
	}

	/** What would be lost if the page were left: an open editor, or an undo. */
	get draft() {
		if (this.state === "editor") return { note: this.base, typed: this.form.draft };
		if (this.state === "deleted") return { note: this.note };
	}

	resume({ note, typed }) {
		this.note = note;
		if (!typed) return this.offerUndo();
		this.edit();
		this.form.draft = typed;
	}

	find(selector) {
		return this.element.querySelector(selector);
	}

	/** Find a button by its name; a click does `action` from now on. */
	button(name, action) {
		const button = this.find(`[name=${name}]`);
		if (button && action) button.onclick = action;
		return button;
	}

	become(state) {
		this.state = state;
		this.element.replaceChildren($(`notes-${state}`).content.cloneNode(true));
	}

	show(note, focus) {
		const focused = this.element.contains(document.activeElement) && document.activeElement.name;
		this.note = note;
		this.become("shown");
		const { title, body, version, updated_at: time } = note;
		write(this.find("h3"), title);
		write(this.find(".body"), body);
		write(this.find("[data-version]"), version);
		Object.assign(this.find("time"), { dateTime: time, textContent: when(time) });
		this.button("edit", () => this.edit()).ariaLabel = `Edit: ${title}`;
		this.button("delete", () => this.remove()).ariaLabel = `Delete: ${title}`;
		if (body.length > 600 || body.split("\n").length > 7) this.fold();
		this.button(focus || focused || "none")?.focus();
	}

	fold() {
		const { classList } = this.find(".body");
		classList.add("folded");
		const toggle = ({ target }) => write(target, classList.toggle("folded") ? "Show all" : "Show less");
		this.button("unfold", toggle).hidden = false;
	}

	/** Show a newer version. A deleted note keeps its undo. */
	update(note) {
		if (this.state === "shown") this.show(note);
		else if (this.state === "editor" && !this.form.trying) this.form.say("This note was changed elsewhere just now. Save to compare both versions.");
	}

	/** React to a deletion elsewhere. */
	vanish() {
		if (this.state === "editor" && !this.form.trying) this.conflict(null);
	}

	edit() {
		this.become("editor");
		this.base = this.note;
		this.form = new Form(this.find("form"), () => this.save(), () => this.close());
		this.form.content = this.note;
		this.form.element.ariaLabel = `Edit: ${this.note.title}`;
		this.button("mine", () => this.saveMine());
		this.button("theirs", () => this.close());
		this.form.title.focus();
	}

	/** Leave the editor and show the stored note. */
	close() {
		const note = this.list.known.get(this.note.id);
		if (note) return this.show(note, "edit");
		this.state = "shown";
		this.list.draw();
	}

	async save() {
		const { form, base } = this;
		const { content } = form;
		const path = `/notes/${base.id}`;
		const headers = { "if-match": `"${base.version}"` };
		let answer = await form.save(path, { method: "PUT", json: content, headers });
		if (answer?.status === 412) answer = await form.save(path);
		if (answer?.status === 404) return this.conflict(null);
		if (answer?.status !== 200) return form.explain(answer);
		// The same content after a 412 is our own: only its answer was lost.
		if (!sameContent(answer.data, content)) return this.conflict(answer.data);
		this.list.known.set(base.id, answer.data);
		this.show(answer.data, "edit");
		announce("Saved.");
	}

	/** Show the stored note, if any, and ask which one to keep. */
	conflict(theirs) {
		this.theirs = theirs;
		if (theirs) this.list.known.set(theirs.id, theirs);
		else this.list.known.delete(this.note.id);
		const [explain, quote] = this.find(".conflict").children;
		write(explain, `Somebody else ${theirs ? "changed" : "deleted"} this note while you were editing. Your text is still above.`);
		write(this.button("mine"), theirs ? "Save mine" : "Save mine as a new note");
		write(this.button("theirs"), theirs ? "Use theirs" : "Discard mine");
		quote.hidden = !theirs;
		if (theirs) quote.replaceChildren(make("strong", {}, theirs.title), make("p", {}, theirs.body));
		this.askWhich(true);
		explain.focus();
	}

	askWhich(asking) {
		this.find(".conflict").hidden = !asking;
		this.form.submit.hidden = this.form.cancel.hidden = asking;
		this.form.say("");
	}

	async saveMine() {
		this.askWhich(false);
		if (this.theirs) {
			this.base = this.theirs;
			return this.save();
		}
		const note = await this.form.create();
		if (!note) return;
		this.state = "shown";
		this.list.learn(note);
		this.list.cards.get(note.id)?.button("edit").focus();
	}

	async remove() {
		const { note } = this;
		const button = this.button("delete", () => {});
		this.state = "deleting"; // its event may come before the answer
		const headers = { "if-match": `"${note.version}"` };
		const answer = await insist(`/notes/${note.id}`, { method: "DELETE", headers }, () => write(button, "Waiting"));
		if (answer.status === 412) {
			announce("This note was changed elsewhere just now, so it was not deleted. Read it again first.");
			await this.list.fetchNote(note.id);
			return this.show(this.list.known.get(note.id) ?? note, "delete");
		}
		if (REFUSED.includes(answer.status)) {
			announce(`Not deleted. ${answer.data.detail}`);
			return this.show(note, "delete");
		}
		this.offerUndo();
		announce("Deleted. You can undo this.");
	}

	offerUndo() {
		this.become("deleted");
		write(this.find("[data-title]"), this.note.title);
		this.button("undo", () => this.undo()).focus();
		this.timer = setTimeout(() => this.close(), UNDO_FOR);
		this.list.forget(this.note.id);
	}

	/** Import the note, which keeps its id, its place and its version. */
	async undo() {
		this.button("undo", () => {});
		clearTimeout(this.timer);
		const headers = { "content-type": "application/x-ndjson" };
		const body = `${JSON.stringify(this.note)}\n`;
		const answer = await insist("/notes/import", { method: "POST", headers, body }); // 409: the note exists again
		if (REFUSED.includes(answer.status)) {
			announce(`Not restored. ${answer.data.detail}`);
			return this.button("undo", () => this.undo());
		}
		this.restored = true;
		this.show(this.note, "edit");
		this.list.learn(this.note);
		announce("The note is restored.");
	}
}
