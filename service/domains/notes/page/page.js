/** The notes: the list with its search, the form for a new one, and the changes of other clients. */

import { $, announce, follow, insist, session, write } from "/static/client.js";
import { Card } from "./card.js";
import { Form } from "./form.js";

const known = new Map(); // every received note, by id
const cards = new Map();
const list = { known, cards, draw, learn, forget, fetchNote }; // what a card uses

/** All notes, or those of a search, newest first. Grows page by page. */
class Listing {
	ids = new Set();
	learned = new Set(); // since it is read again
	begun = false;
	loading = false;
	over = new AbortController();

	constructor(query) {
		this.query = query;
		this.first = this.next = `/notes?${new URLSearchParams({ limit: 50, ...(query && { q: query }) })}`;
	}

	async more() {
		if (this.loading || !this.next) return;
		this.loading = true;
		await this.read(this.next, 0);
		this.loading = false;
		draw();
	}

	async again() {
		this.stale = true;
		this.learned.clear();
		await this.read(this.first, this.ids.size);
		draw();
	}

	/** Read pages until there are `count` notes. */
	async read(path, count) {
		const { signal } = this.over;
		const answer = await insist(path, { signal }).catch(() => null);
		if (answer?.status !== 200) return;
		if (this.stale) this.ids = new Set(this.learned);
		this.stale = false;
		this.begun = true;
		this.next = answer.data.next;
		for (const note of answer.data.items) {
			keep(note);
			this.ids.add(note.id);
		}
		if (this.next && this.ids.size < count) await this.read(this.next, count);
	}
}

const all = new Listing("");
let shown = all; // or the results of a search

function keep(note) {
	if (known.get(note.id)?.version >= note.version) return;
	known.set(note.id, note);
	cards.get(note.id)?.update(note);
}

function learn(note) {
	keep(note);
	const isNew = !all.ids.has(note.id);
	if (!all.next || [...all.ids].some((id) => id < note.id))
		for (const ids of [all.ids, all.learned]) ids.add(note.id);
	draw(isNew && note.id);
}

function forget(id) {
	for (const notes of [known, all.ids, all.learned, shown.ids]) notes.delete(id);
	cards.get(id)?.vanish();
	draw();
}

const refresh = () => new Set([all, shown]).forEach((listing) => listing.again());

async function fetchNote(id) {
	const answer = await insist(`/notes/${id}`);
	if (answer.status === 200) learn(answer.data);
	else if (answer.status === 404) forget(id);
}

/** Apply changes of other clients. */
function take(changes) {
	// It may come after the undo.
	for (const { kind, id } of changes) if (kind === "deleted") (cards.get(id)?.restored ? fetchNote : forget)(id);
	const news = changes.filter(({ kind, id, version }) => kind !== "deleted" && !(known.get(id)?.version >= version));
	if (news.length > 8 || news.some(({ kind }) => kind === "reset")) refresh();
	else for (const { id } of news) fetchNote(id);
	if (news.length) searchSoon();
}

/** The ids to show, newest first. A card in use stays. */
function visible() {
	const ids = new Set(shown.ids);
	const text = shown.query.toLowerCase();
	for (const note of known.values()) {
		if (text && `${note.title}\n${note.body}`.toLowerCase().includes(text)) ids.add(note.id);
	}
	for (const card of cards.values()) if (card.inUse) ids.add(card.note.id);
	return [...ids].sort().reverse(); // an id begins with its time
}

/** Update the list. Cards that stay keep the focus. */
function draw(fresh) {
	const ids = visible();
	inPlace(() => {
		for (const [id, card] of cards) {
			if (ids.includes(id) || !cards.delete(id)) continue;
			moveFocusFrom(card.element);
			card.element.remove();
		}
		let place = $("notes-list").firstElementChild;
		for (const id of ids) {
			if (cards.get(id)) {
				place = place.nextElementSibling;
				continue;
			}
			const card = new Card(known.get(id), list);
			cards.set(id, card);
			card.element.classList.toggle("fresh", id === fresh);
			$("notes-list").insertBefore(card.element, place);
		}
	});
	drawState(ids.length);
}

function drawState(count) {
	const { begun, next, query } = shown;
	$("notes-list").ariaBusy = !begun;
	$("notes-more").hidden = !next || !begun;
	$("notes-empty").hidden = count > 0 || !begun;
	write($("notes-empty"), query ? "Nothing found. The search matches whole words." : "No notes yet. Write the first one.");
	write($("notes-found"), !query ? "" : begun ? `${count}${next ? " or more" : ""} found` : "Searching");
	if (begun && nearEnd) shown.more();
}

/** Change the list without moving what is in view. */
function inPlace(change) {
	const list = $("notes-list");
	const { activeElement } = document;
	const scrolled = list.getBoundingClientRect().top < 0;
	const inView = scrolled && [...list.children].find((card) => card.getBoundingClientRect().bottom > 0);
	const anchor = list.contains(activeElement) ? activeElement : inView;
	const before = anchor && anchor.getBoundingClientRect().top;
	change();
	if (anchor?.isConnected) scrollBy(0, anchor.getBoundingClientRect().top - before);
}

function moveFocusFrom(element) {
	if (!element.contains(document.activeElement)) return;
	const neighbour = element.nextElementSibling ?? element.previousElementSibling;
	(neighbour?.querySelector("button:not([hidden])") ?? $("notes-search")).focus();
}

let nearEnd = false;

/** A busy machine reports several changes at once; the last one is current. */
function atEnd(entries) {
	nearEnd = entries.at(-1).isIntersecting;
	if (nearEnd) shown.more();
}

new IntersectionObserver(atEnd, { rootMargin: "800px" }).observe($("notes-more"));
$("notes-more").onclick = () => shown.more();

let searchTimer;

function searchSoon() {
	clearTimeout(searchTimer);
	searchTimer = setTimeout(() => shown.query && shown.again(), 150);
}

$("notes-search").oninput = () => {
	if (shown.query) shown.over.abort();
	const query = $("notes-search").value.trim();
	shown = query ? new Listing(query) : all;
	draw(); // what is here already, until the service answers
	searchSoon();
};

const composer = new Form($("notes-composer"), async () => {
	const slow = setTimeout(() => (composer.cancel.hidden = false), 1000);
	const note = await composer.create();
	clearTimeout(slow);
	composer.cancel.hidden = true;
	if (!note) return;
	composer.content = { title: "", body: "" };
	composer.title.focus();
	learn(note);
	announce("Added.");
});

/** What is typed, to be kept while the page is left for a sign-in. */
function save() {
	const drafts = [...cards.values()].map(({ draft }) => draft).filter(Boolean);
	return { composed: composer.draft, drafts, query: $("notes-search").value };
}

function restore({ composed, drafts, query }) {
	composer.draft = composed;
	$("notes-search").value = query;
	$("notes-search").oninput();
	for (const { note } of drafts) {
		known.set(note.id, note);
		shown.ids.add(note.id);
	}
	draw();
	for (const draft of drafts) cards.get(draft.note.id).resume(draft);
}

session.keep("notes", save, restore);
$("notes-command").textContent = `curl${session.curl} ${location.origin}/notes \\\n  --json '{"title": "Launch"}'`;
follow("/notes/events", take, refresh);
all.more();
