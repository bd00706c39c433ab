/**
 * The page: which versions and replicas answer, and the notes.
 *
 * send() sends every request and records it for the strip. insist() repeats a request, for which a person waits, until
 * the service answers. What comes from outside becomes text, never markup.
 */

const MARKS = 60;
const COLOURS = 5;
const SLOWEST_POLL = 1000; // ms; faster at first, and when something changes
const RECENT = 10_000;
const SILENCE = 40_000; // ms; a live stream has a heartbeat every 15 s
const HIDDEN_FOR = 60_000; // ms; then the stream ends: all tabs of a browser share six connections
const UNDO_FOR = 60_000;
const PASSING = [408, 425, 429, 500, 502, 503, 504];
const NO_ANSWER = "no answer";
const TOOLS = ["Tilt", "Grafana", "Prometheus", "Jaeger"];

const $ = (id) => document.getElementById(id);
const clock = (time) => new Date(time).toLocaleTimeString("en-GB");
const announce = (text) => ($("announce").textContent = text);

function make(tag, properties, ...children) {
	const element = Object.assign(document.createElement(tag), properties);
	element.append(...children);
	return element;
}

/** Set text if it differs, so that screen readers do not repeat it. */
function write(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

// ---- Requests

/** Wait, unless `signal` is aborted. */
function pause(ms, signal) {
	return new Promise((resolve, reject) => {
		setTimeout(resolve, ms);
		signal?.addEventListener("abort", () => reject(signal.reason));
	});
}

/** Send a request and record its result. */
async function send(path, { method = "GET", ...options }) {
	const begun = performance.now();
	const mark = { at: Date.now(), what: `${method} ${path}`, status: 0, instance: "", version: "" };
	try {
		const answer = await fetch(path, { method, cache: "no-store", ...options });
		mark.status = answer.status;
		mark.instance = answer.headers.get("x-service-instance") ?? "";
		mark.version = answer.headers.get("x-service-version") ?? "";
		return answer;
	} finally {
		mark.ms = performance.now() - begun;
		if (mark.status || options.signal?.reason?.name !== "AbortError") record(mark); // not if the page itself aborted it
	}
}

/** Send a request and read its answer: status, retry (in seconds) and data. */
async function ask(path, { json, headers, timeout = 15_000, signal, ...options } = {}) {
	const limit = AbortSignal.timeout(timeout);
	if (json) options.body = JSON.stringify(json);
	const answer = await send(path, {
		...options,
		headers: { accept: "application/json", ...(json && { "content-type": "application/json" }), ...headers },
		signal: signal ? AbortSignal.any([signal, limit]) : limit,
	});
	const isJSON = answer.headers.get("content-type")?.includes("json");
	const retry = Number(answer.headers.get("retry-after"));
	return { status: answer.status, retry, data: isJSON && (await answer.json()) };
}

/** Repeat an idempotent request until its answer is final. */
async function insist(request, signal, waiting) {
	for (let delay = 250; ; delay = Math.min(delay * 2, 2000)) {
		let wait = delay;
		try {
			const answer = await request();
			if (!PASSING.includes(answer.status)) return answer;
			wait = Math.max(delay, 1000 * Math.min(answer.retry || 0, 10));
		} catch (error) {
			if (signal?.aborted) throw error;
		}
		waiting?.();
		await pause(wait * (0.75 + Math.random() / 2), signal);
	}
}

// ---- The strip

const marks = [];
const lanes = new Map();
const versions = []; // in order of appearance, which is their colour
const live = { misses: 0, lost: 0, away: 0 };
let pace = 150;

const laneOf = (mark) => mark.instance || NO_ANSWER;
const hasFailed = (mark) => mark.status === 0 || mark.status >= 500;
const byNumber = new Intl.Collator("en", { numeric: true }).compare;

function record(mark) {
	const { at, what, status, ms, version } = mark;
	const title = `${clock(at)} ${what}: ${status || NO_ANSWER}, ${Math.round(ms)} ms, ${version}`;
	mark.element = make("i", { className: `mark ${hasFailed(mark) ? "failed" : colourOf(version)}`, title });
	marks.push(mark);
	if (marks.length > MARKS) marks.shift().element.remove();
	followVersions(mark);
	drawStrip();
	drawFigures();
	tell();
}

function colourOf(version) {
	if (!versions.includes(version)) versions.push(version);
	return `v${versions.indexOf(version) % COLOURS}`;
}

/** The version in each replica's latest answer. */
function current() {
	const recent = marks.filter((mark) => mark.version && mark.at >= marks.at(-1).at - RECENT);
	return new Map(recent.map((mark) => [mark.instance, mark.version]));
}

/** Notice when one version takes over from another, and what fails meanwhile. */
function followVersions(mark) {
	const { change } = live;
	if (hasFailed(mark)) {
		pace = 150;
		if (change && mark.at - change.at < RECENT) change.failed += 1;
	}
	if (!mark.version) return;
	live.settled ||= mark.version;
	const now = [...new Set(current().values())];
	const next = now.find((version) => version !== live.settled);
	// The old process may answer once more on a connection that is still open.
	if (!next || (change?.done && next === change.from && mark.at - change.at < 3000)) return;
	if (change?.to !== next || change.done) {
		live.change = { from: live.settled, to: next, at: mark.at, failed: 0, done: false };
		pace = 150;
	}
	if (now.length === 1) {
		live.change.done = true;
		live.settled = next;
	}
}

function drawStrip() {
	const strip = $("strip");
	const names = [...new Set(marks.map(laneOf))].sort((a, b) => (a === NO_ANSWER) - (b === NO_ANSWER) || byNumber(a, b));
	for (const [name, track] of lanes) {
		if (!names.includes(name) && lanes.delete(name)) track.parentNode.remove();
	}
	names.forEach((name, index) => {
		if (lanes.has(name)) return;
		const track = make("div", { className: "track" });
		lanes.set(name, track);
		const lane = make("div", { className: "lane" }, make("span", { title: name }, name), track);
		strip.insertBefore(lane, strip.children[index] ?? null);
	});
	marks.forEach((mark, index) => {
		const track = lanes.get(laneOf(mark));
		if (mark.element.parentNode !== track) track.append(mark.element);
		mark.element.style.gridColumn = MARKS - marks.length + index + 1;
	});
	drawLegend(names);
}

let shownLabels;

function drawLegend(names) {
	const colours = new Map(marks.map((mark) => [hasFailed(mark) ? "failed" : mark.version, mark.element.classList[1]]));
	const labels = [...colours.keys()];
	if (labels.join() !== shownLabels) {
		shownLabels = labels.join();
		const items = labels.map((label) => make("span", {}, make("i", { className: colours.get(label) }), label));
		$("legend").replaceChildren(...items, make("span", {}, `the last ${MARKS} requests, newest on the right`));
	}
	const counts = names.map((name) => `${name} ${marks.filter((mark) => laneOf(mark) === name).length}`);
	$("strip").ariaLabel = `The last ${marks.length} requests: ${counts.join(", ")}. Versions: ${shownLabels}.`;
}

function drawFigures() {
	const recent = marks.filter((mark) => mark.at > Date.now() - RECENT);
	const span = Math.max(1000, Math.min(RECENT, Date.now() - marks[0].at));
	const times = marks.filter((mark) => mark.status).map((mark) => mark.ms).sort((a, b) => a - b);
	const p95 = times[Math.ceil(times.length * 0.95) - 1];
	const failed = marks.filter(hasFailed).length;
	write($("rate"), ((recent.length * 1000) / span).toFixed(1));
	write($("p95"), p95?.toFixed(p95 < 10 ? 1 : 0) ?? "–");
	write($("failed"), `${failed}`);
	write($("of"), `of ${marks.length}`);
	$("failed").parentNode.classList.toggle("bad", failed > 0);
	write($("replicas"), `${current().size || "–"}`);
}

let shownVersions;

/** Update the headline and the line below it. */
function tell() {
	const answering = new Set(current().values());
	const now = live.lost ? [] : versions.filter((version) => answering.has(version));
	if ((now.length || live.lost) && now.join() !== shownVersions) {
		shownVersions = now.join();
		const names = now.flatMap((version, index) => [index ? " and " : "", make("code", { className: colourOf(version) }, version)]);
		const [before, after] = now.length > 1 ? ["Versions ", " answer"] : ["Version ", " answers"];
		$("headline").replaceChildren(...(now.length ? [before, ...names, after] : ["The service does not answer"]));
	}
	write($("story"), story());
	$("story").classList.toggle("bad", Boolean(live.lost || live.away));
}

function story() {
	const { change, root } = live;
	if (live.lost) return `No answer since ${clock(live.lost)}. Trying again. Nothing that you typed is lost.`;
	if (live.away) return `The database has been down since ${clock(live.away)}. What you save is sent when it is back.`;
	if (live.news) return live.news;
	if (change) {
		const cost = change.failed ? `${change.failed} of the requests failed.` : "No request failed.";
		const [what, at] = change.done ? ["took", ` at ${clock(change.at)}`] : ["is taking", ""];
		return `${change.to} ${what} over from ${change.from}${at}. ${cost}`;
	}
	if (!root) return "One moment.";
	return root.environment === "production"
		? "Each mark is a request from this page."
		: "Save a file in service/ and watch the version change. No request fails.";
}

/** Poll `GET /` forever. */
async function poll() {
	for (;;) {
		await untilSeen();
		const answer = await ask("/", { headers: { "x-poll": "1" }, timeout: 5000 }).catch(() => null);
		if (answer?.status === 200) answered(answer.data);
		else if (++live.misses > 1) live.lost ||= marks.at(-1).at;
		tell();
		pace = Math.min(pace * 1.15, SLOWEST_POLL);
		await pause(pace);
	}
}

function answered(root) {
	const away = root.database.status !== "available";
	const since = !away && (live.away || live.lost);
	if (since) {
		const after = Math.ceil((Date.now() - since) / 1000);
		live.news = `The ${live.away ? "database" : "service"} is back after ${after} s.`;
		setTimeout(() => (live.news = ""), RECENT);
	}
	if (live.lost) seen.abort(); // the stream may be dead without an error
	if (!live.root) drawLinks(root.links);
	Object.assign(live, { root, misses: 0, lost: 0, away: away ? live.away || Date.now() : 0 });
	write($("database"), away ? "down" : `PostgreSQL ${root.database.version}`);
	$("database").classList.toggle("bad", away);
}

function drawLinks(links) {
	for (const name of TOOLS) {
		const href = links[name.toLowerCase()];
		if (href) $("links").append(make("li", {}, make("a", { href, target: "_blank", rel: "noopener" }, name)));
	}
}

// ---- Events

let seen = new AbortController();
let hiding;

document.onvisibilitychange = () => {
	clearTimeout(hiding);
	if (document.hidden) hiding = setTimeout(() => seen.abort(), HIDDEN_FOR);
};

async function untilSeen() {
	while (seen.signal.aborted && document.hidden) await pause(SLOWEST_POLL);
}

/** Follow the events forever; after a disconnect, resume after the last one. */
async function follow() {
	for (let last = "", retry = 1000; ; await pause(retry)) {
		await untilSeen();
		seen = new AbortController();
		const silent = new AbortController();
		let timer = setTimeout(() => silent.abort(), SILENCE);
		try {
			const headers = { accept: "text/event-stream", ...(last && { "last-event-id": last }) };
			const signal = AbortSignal.any([silent.signal, seen.signal]);
			const answer = await send("/notes/events", { headers, signal });
			if (answer.status === 422) last = ""; // not an id of this stream
			if (!answer.ok) throw new Error(answer.statusText);
			if (!last) refresh();
			for await (const event of eventsIn(answer.body)) {
				clearTimeout(timer);
				timer = setTimeout(() => silent.abort(), SILENCE);
				last = event.id ?? last;
				retry = Number(event.retry ?? retry);
				if (event.data) changed(event.event, JSON.parse(event.data));
			}
		} catch {
			retry = 1000;
		}
		clearTimeout(timer);
	}
}

/** Parse a stream. */
async function* eventsIn(body) {
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = "";
	let event = {};
	for (;;) {
		const { done, value } = await reader.read();
		if (done) return;
		const lines = (rest + value).split("\n");
		rest = lines.pop();
		for (const line of lines) {
			const [, name, text] = /^([^:]*):? ?(.*)$/.exec(line);
			if (line) event[name] = text;
			else {
				yield event;
				event = {};
			}
		}
	}
}

let changes = new Map();

/** Collect the changes of a moment, to apply them together. */
function changed(kind, { id, version }) {
	if (!changes.size) setTimeout(takeChanges, 30);
	changes.set(id, { kind, id, version });
}

function takeChanges() {
	const taken = [...changes.values()];
	changes = new Map();
	for (const { kind, id } of taken) if (kind === "deleted") forget(id);
	const news = taken.filter(({ kind, id, version }) => kind !== "deleted" && !(known.get(id)?.version >= version));
	if (news.length > 8 || news.some(({ kind }) => kind === "reset")) refresh();
	else for (const { id } of news) fetchNote(id);
	if (news.length && search.query) searchSoon();
}

async function fetchNote(id) {
	const answer = await insist(() => ask(`/notes/${id}`));
	if (answer.status === 200) learn(answer.data);
	else forget(id);
}

// ---- The list

const known = new Map(); // all notes that were received, by id
const cards = new Map();

/** All notes, or the results of a search, newest first. Grows page by page. */
class Listing {
	ids = new Set();
	begun = false;
	loading = false;
	over = new AbortController();

	constructor(query) {
		this.query = query;
		this.next = this.path(50);
	}

	path(limit) {
		return `/notes?${new URLSearchParams({ limit, ...(this.query && { q: this.query }) })}`;
	}

	async more() {
		if (this.loading || !this.next) return;
		this.loading = true;
		await this.read(this.next, 0);
		this.loading = false;
		draw();
	}

	/** Read the list again. */
	async again() {
		const count = this.ids.size;
		this.stale = true;
		await this.read(this.path(Math.min(Math.max(count, 50), 100)), count);
		draw();
	}

	/** Read pages until there are `count` notes. */
	async read(path, count) {
		const { signal } = this.over;
		const answer = await insist(() => ask(path, { signal }), signal).catch(() => null);
		if (answer?.status !== 200) return;
		if (this.stale) this.ids = new Set();
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
let search = new Listing("");
const shown = () => (search.query ? search : all);

function keep(note) {
	if (known.get(note.id)?.version >= note.version) return;
	known.set(note.id, note);
	cards.get(note.id)?.update(note);
}

/** Add a single note. */
function learn(note) {
	keep(note);
	const isNew = !all.ids.has(note.id);
	if (!all.next || [...all.ids].some((id) => id < note.id)) all.ids.add(note.id);
	draw(isNew && note.id);
}

function forget(id) {
	for (const notes of [known, all.ids, search.ids]) notes.delete(id);
	cards.get(id)?.vanish();
	draw();
}

const refresh = () => new Set([all, shown()]).forEach((listing) => listing.again());

/** The ids to show, newest first. A card in use stays. */
function visible() {
	const ids = new Set(shown().ids);
	const text = search.query.toLowerCase();
	for (const note of known.values()) {
		if (text && `${note.title}\n${note.body}`.toLowerCase().includes(text)) ids.add(note.id);
	}
	for (const card of cards.values()) if (card.inUse) ids.add(card.note.id);
	return [...ids].sort().reverse(); // an id begins with its time
}

/** Update the list. Cards that stay are not touched, so they keep the focus. */
function draw(fresh) {
	const ids = visible();
	inPlace(() => {
		for (const [id, card] of cards) {
			if (ids.includes(id) || !cards.delete(id)) continue;
			moveFocusFrom(card.element);
			card.element.remove();
		}
		let place = $("list").firstElementChild;
		for (const id of ids) {
			if (cards.get(id)) {
				place = place.nextElementSibling;
				continue;
			}
			const card = new Card(known.get(id));
			cards.set(id, card);
			card.element.classList.toggle("fresh", id === fresh);
			$("list").insertBefore(card.element, place);
		}
	});
	drawState(ids.length);
}

function drawState(count) {
	const { begun, next, query } = shown();
	$("list").ariaBusy = `${!begun}`;
	$("more").hidden = !next || !begun;
	$("empty").hidden = count > 0 || !begun;
	write($("empty"), query ? "Nothing found. The search matches whole words." : "No notes yet. Write the first one.");
	write($("found"), !query ? "" : begun ? `${count}${next ? " or more" : ""} found` : "Searching");
	if (next && begun && nearEnd) shown().more();
}

/** Change the list, but do not move what is in view. */
function inPlace(change) {
	const list = $("list");
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
	(neighbour?.querySelector("button:not([hidden])") ?? $("search")).focus();
}

let nearEnd = false;

/** A busy machine reports several changes at once; the last one is current. */
function atEnd(entries) {
	nearEnd = entries.at(-1).isIntersecting;
	if (nearEnd) shown().more();
}

new IntersectionObserver(atEnd, { rootMargin: "800px" }).observe($("more"));
$("more").onclick = () => shown().more();

let searchTimer;

function searchSoon() {
	clearTimeout(searchTimer);
	searchTimer = setTimeout(() => search.query && search.again(), 150);
}

$("search").oninput = () => {
	search.over.abort();
	search = new Listing($("search").value.trim());
	draw(); // the notes that are here already, until the service answers
	searchSoon();
};

// ---- One note

const sameContent = (one, other) => one.title === other.title && one.body === other.body;

const when = (time) => new Date(time).toLocaleString("en-GB", { timeStyle: "short", dateStyle: "medium" });

class Card {
	constructor(note) {
		this.element = make("li");
		this.show(note);
	}

	/** Whether it is being edited or deleted. */
	get inUse() {
		return this.state !== "shown";
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
		this.element.replaceChildren($(state).content.cloneNode(true));
	}

	show(note, focus) {
		const focused = this.element.contains(document.activeElement) && document.activeElement.name;
		this.note = note;
		this.become("shown");
		const { title, body, version, updated_at: time } = note;
		write(this.find("h3"), title);
		write(this.find(".body"), body);
		write(this.find("[data-version]"), `${version}`);
		Object.assign(this.find("time"), { dateTime: time, textContent: when(time) });
		this.button("edit", () => this.edit()).ariaLabel = `Edit: ${title}`;
		this.button("delete", () => this.remove()).ariaLabel = `Delete: ${title}`;
		if (body.length > 600 || body.split("\n").length > 7) this.fold();
		this.button(focus || focused || "none")?.focus();
	}

	fold() {
		const { classList } = this.find(".body");
		classList.add("folded");
		this.button("unfold", ({ target }) => {
			const folded = classList.toggle("folded");
			write(target, folded ? "Show all" : "Show less");
		}).hidden = false;
	}

	/** Show a newer version of the note. */
	update(note) {
		if (this.state !== "editor") this.show(note);
		else if (!this.form.trying) this.form.say("This note was changed elsewhere just now. Save to compare both versions.");
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
		this.element.onkeydown = ({ key }) => {
			const { state, form } = this;
			if (key === "Escape" && state === "editor" && !form.trying && sameContent(form.content, this.base)) this.close();
		};
		this.form.title.focus();
	}

	/** Leave the editor and show the stored note. */
	close() {
		const note = known.get(this.note.id);
		if (note) return this.show(note, "edit");
		this.state = "shown";
		draw();
	}

	async save() {
		const { form, base } = this;
		const { content } = form;
		const path = `/notes/${base.id}`;
		const headers = { "if-match": `"${base.version}"` };
		let answer = await form.save((signal) => ask(path, { method: "PUT", json: content, headers, signal }));
		if (answer?.status === 412) answer = await form.save((signal) => ask(path, { signal }));
		if (answer?.status === 404) return this.conflict(null);
		if (answer?.status !== 200) return form.explain(answer);
		// The same content after a 412 is our own: only its answer was lost.
		if (!sameContent(answer.data, content)) return this.conflict(answer.data);
		known.set(base.id, answer.data);
		this.show(answer.data, "edit");
		announce("Saved.");
	}

	/** Show the stored note, if any, and ask which one to keep. */
	conflict(theirs) {
		this.theirs = theirs;
		if (theirs) known.set(theirs.id, theirs);
		else known.delete(this.note.id);
		const [explain, quote] = this.find(".conflict").children;
		const done = theirs ? "changed" : "deleted";
		write(explain, `Somebody else ${done} this note while you were editing. Your text is still above.`);
		write(this.button("mine"), theirs ? "Save mine" : "Save mine as a new note");
		write(this.button("theirs"), theirs ? "Use theirs" : "Discard mine");
		quote.hidden = !theirs;
		write(quote.children[0], theirs?.title ?? "");
		write(quote.children[1], theirs?.body ?? "");
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
		const note = await create(this.form);
		if (!note) return;
		this.state = "shown";
		learn(note);
		cards.get(note.id)?.button("edit").focus();
	}

	async remove() {
		const { note } = this;
		const button = this.button("delete", () => {});
		this.state = "deleting"; // its event may come before the answer
		const headers = { "if-match": `"${note.version}"` };
		const request = () => ask(`/notes/${note.id}`, { method: "DELETE", headers });
		const answer = await insist(request, null, () => write(button, "Waiting"));
		if (answer.status === 412) {
			announce("This note was changed elsewhere just now, so it was not deleted. Read it again first.");
			await fetchNote(note.id);
			return this.show(known.get(note.id) ?? note, "delete");
		}
		this.become("deleted");
		write(this.find("[data-title]"), note.title);
		this.button("undo", () => this.undo()).focus();
		this.timer = setTimeout(() => this.close(), UNDO_FOR);
		forget(note.id);
		announce("Deleted. You can undo this.");
	}

	/** Import the note, which keeps its id, its place and its version. */
	async undo() {
		this.button("undo", () => {});
		clearTimeout(this.timer);
		const headers = { "content-type": "application/x-ndjson" };
		const body = `${JSON.stringify(this.note)}\n`;
		await insist(() => ask("/notes/import", { method: "POST", headers, body })); // 409: the note exists again
		this.show(this.note, "edit");
		learn(this.note);
		announce("The note is restored.");
	}
}

// ---- Forms

/** A form that keeps what was typed until it is saved. */
class Form {
	trying = null;

	constructor(element, onsubmit, oncancel) {
		const { title, body, submit, cancel } = element.elements;
		Object.assign(this, { element, title, body, submit, cancel, message: element.querySelector(".message") });
		element.onsubmit = (event) => {
			event.preventDefault();
			if (!this.trying && this.check()) onsubmit();
		};
		element.onkeydown = (event) => {
			if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) element.requestSubmit();
		};
		cancel.onclick = () => (this.trying ? this.trying.abort() : oncancel());
		title.oninput = () => title.removeAttribute("aria-invalid");
	}

	get content() {
		return { title: this.title.value, body: this.body.value };
	}

	set content({ title, body }) {
		this.title.value = title;
		this.body.value = body;
	}

	say(text, bad = false) {
		write(this.message, text);
		this.message.classList.toggle("bad", bad);
	}

	/** Show why the note was not saved. */
	explain(answer) {
		if (answer) this.say(answer.data?.detail ?? `Not saved: the service answered ${answer.status}.`, true);
	}

	check() {
		if (this.title.value) return true;
		this.title.ariaInvalid = "true";
		this.say("A note needs a title.", true);
		this.title.focus();
		return false;
	}

	/** Repeat until answered; null if stopped. The focus stays where it is. */
	async save(request) {
		const { signal } = (this.trying = new AbortController());
		this.lock(true);
		this.say("");
		const waiting = () => this.say("No answer yet. Trying again until it is saved.");
		const answer = await insist(() => request(signal), signal, waiting).catch(() => null);
		this.say(answer ? "" : "Stopped. The note may have been saved anyway.");
		this.trying = null;
		this.lock(false);
		return answer;
	}

	lock(locked) {
		this.title.readOnly = this.body.readOnly = locked;
		this.submit.ariaDisabled = `${locked}`;
	}
}

/** Create a note from a form, once, however often it is sent. */
async function create(form) {
	const { content } = form;
	// The same text after a stop is the same note, so it gets the same key.
	if (!form.key || !sameContent(form.sent, content)) Object.assign(form, { key: newKey(), sent: content });
	const headers = { "idempotency-key": form.key };
	const answer = await form.save((signal) => ask("/notes", { method: "POST", json: content, headers, signal }));
	if (answer?.status !== 201) return form.explain(answer);
	form.key = "";
	return answer.data;
}

/** crypto.randomUUID would not do: browsers offer it only for https and localhost. */
const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

const composer = new Form($("composer"), async () => {
	const slow = setTimeout(() => (composer.cancel.hidden = false), 1000);
	const note = await create(composer);
	clearTimeout(slow);
	composer.cancel.hidden = true;
	if (!note) return;
	composer.content = { title: "", body: "" };
	composer.title.focus();
	learn(note);
	announce("Added.");
});

$("command").textContent = `curl ${location.origin}/notes \\\n  --json '{"title": "Launch"}'`;
poll();
follow();
all.more();
