/**
 * What the page and the parts of domains use: elements, requests and streams of events. What comes from outside
 * becomes text, never markup.
 */

export const $ = (id) => document.getElementById(id);

/** Tell screen readers what has happened. */
export const announce = (text) => ($("announce").textContent = text);

export function make(tag, properties, ...children) {
	const element = Object.assign(document.createElement(tag), properties);
	element.append(...children);
	return element;
}

/** Set text if it differs, so that screen readers do not repeat it. */
export function write(element, text, bad = false) {
	if (element.textContent !== `${text}`) element.textContent = text;
	element.classList.toggle("bad", Boolean(bad));
}

// ---- Requests

/** How requests are sent; session.js replaces its parts if there are users, and says what they do. */
export const session = { fetch: (...request) => fetch(...request), keep() {}, curl: "" };

const PASSING = [408, 425, 429, 500, 502, 503, 504];

/** Wait, unless `signal` is aborted. */
export function pause(ms, signal) {
	return new Promise((resolve, reject) => {
		setTimeout(resolve, ms);
		signal?.addEventListener("abort", () => reject(signal.reason));
	});
}

/** Send a request. Its result, an event of the window, becomes a mark. */
export async function send(path, { method = "GET", ...options }) {
	const begun = performance.now();
	const mark = { at: Date.now(), what: `${method} ${path}`, status: 0, version: "" };
	try {
		const answer = await session.fetch(path, { method, cache: "no-store", ...options });
		mark.status = answer.status;
		mark.instance = answer.headers.get("x-service-instance");
		mark.version = answer.headers.get("x-service-version") ?? "";
		return answer;
	} finally {
		mark.ms = performance.now() - begun;
		const aborted = !mark.status && options.signal?.reason?.name === "AbortError"; // by the page itself
		if (!aborted && mark.status !== 401) dispatchEvent(new CustomEvent("mark", { detail: mark }));
	}
}

/** Send a request and read its answer: status, retry (in seconds) and data. */
export async function ask(path, { json, headers, timeout = 15_000, signal, ...options } = {}) {
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
export async function insist(path, options = {}, waiting) {
	const { signal } = options;
	for (let delay = 250; ; delay = Math.min(delay * 2, 2000)) {
		let wait = delay;
		try {
			const answer = await ask(path, options);
			if (!PASSING.includes(answer.status)) return answer;
			wait = Math.max(delay, 1000 * Math.min(answer.retry || 0, 10));
		} catch (error) {
			if (signal?.aborted) throw error;
		}
		waiting?.();
		await pause(wait * (0.75 + Math.random() / 2), signal);
	}
}

/** Make an Idempotency-Key. crypto.randomUUID would not do: browsers offer it only for https and localhost. */
export const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

// ---- Events

const SILENCE = 40_000; // ms; a live stream has a heartbeat every 15 s
const HIDDEN_FOR = 60_000; // ms; then the streams end: all tabs of a browser share six connections

let seen = new AbortController();
let hiding;

document.onvisibilitychange = () => {
	clearTimeout(hiding);
	if (document.hidden) hiding = setTimeout(reconnect, HIDDEN_FOR);
};

/** End all streams. They begin again when the page is seen. */
export const reconnect = () => seen.abort();

/** Wait while nobody looks. */
export async function untilSeen() {
	while (seen.signal.aborted && document.hidden) await pause(1000);
	if (seen.signal.aborted) seen = new AbortController();
}

/**
 * Follow the events of a resource forever; after a disconnect, resume after the last one. take() gets those of a
 * moment together, the last one of each id: kind, id, version. refresh() is called if earlier ones may be missing.
 */
export async function follow(path, take, refresh) {
	const changes = new Map();
	const flush = () => {
		const taken = [...changes.values()];
		changes.clear();
		take(taken);
	};
	for (let last = "", retry = 1000; ; await pause(retry)) {
		await untilSeen();
		const silent = new AbortController();
		let timer = setTimeout(() => silent.abort(), SILENCE);
		try {
			const headers = { accept: "text/event-stream", ...(last && { "last-event-id": last }) };
			const answer = await send(path, { headers, signal: AbortSignal.any([silent.signal, seen.signal]) });
			if (answer.status === 422) last = ""; // not an id of this stream
			if (!answer.ok) throw new Error(answer.statusText);
			if (!last) refresh();
			for await (const { id, event: kind, data, retry: hint } of eventsIn(answer.body)) {
				clearTimeout(timer);
				timer = setTimeout(() => silent.abort(), SILENCE);
				last = id ?? last;
				retry = Number(hint ?? retry);
				if (!data) continue;
				if (!changes.size) setTimeout(flush, 30);
				const change = JSON.parse(data);
				changes.set(change.id, { kind, ...change });
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
	for (let rest = ""; ; ) {
		const { done, value } = await reader.read();
		if (done) return;
		const blocks = (rest + value).split("\n\n");
		rest = blocks.pop();
		for (const block of blocks) yield Object.fromEntries(block.split("\n").map((line) => line.split(/: ?(.*)/)));
	}
}
