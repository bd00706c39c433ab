/** The page: which versions and replicas answer. */

import { $, ask, make, pause, reconnect, untilSeen, write } from "./client.js";

const MARKS = 60;
const COLOURS = 5;
const RECENT = 10_000; // ms
const SLOWEST_POLL = 1000;
const NO_ANSWER = "no answer";

const marks = [];
const versions = []; // in order of appearance, which is their colour

/** What the polls found, and how fast they follow each other: faster at first, and when something changes. */
const live = { misses: 0, pace: 150 };

const clock = (time) => new Date(time).toLocaleTimeString("en-GB");
const laneOf = (mark) => mark.instance || NO_ANSWER;
const hasFailed = (mark) => !mark.status || mark.status >= 500;

addEventListener("mark", ({ detail: mark }) => {
	const { at, what, status, ms, version } = mark;
	const title = `${clock(at)} ${what}: ${status || NO_ANSWER}, ${Math.round(ms)} ms, ${version}`;
	mark.element = make("i", { className: `mark ${hasFailed(mark) ? "failed" : colourOf(version)}`, title });
	marks.push(mark);
	if (marks.length > MARKS) marks.shift().element.remove();
	followVersions(mark);
	drawStrip();
	drawFigures();
	tell();
});

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
		live.pace = 150;
		if (change && mark.at - change.at < RECENT) change.failed += 1;
	}
	if (!mark.version) return;
	live.settled ||= mark.version;
	const now = [...new Set(current().values())];
	const next = now.find((version) => version !== live.settled);
	// The old process may answer once more on a connection that is still open.
	if (!next || (change?.done && next === change.from && mark.at - change.at < 3000)) return;
	if (change?.to !== next || change.done) {
		live.change = { from: live.settled, to: next, at: mark.at, failed: 0 };
		live.pace = 150;
	}
	if (now.length === 1) {
		live.change.done = true;
		live.settled = next;
	}
}

function drawStrip() {
	const names = [...new Set(marks.map(laneOf))].sort((a, b) => (a === NO_ANSWER) - (b === NO_ANSWER) || a.localeCompare(b, "en", { numeric: true }));
	const counts = [];
	const lanes = names.map((name) => {
		const own = marks.filter((mark) => laneOf(mark) === name).map((mark) => mark.element);
		counts.push(`${name} ${own.length}`);
		return make("div", { className: "lane" }, make("span", { title: name }, name), make("div", { className: "track" }, ...own));
	});
	marks.forEach((mark, index) => (mark.element.style.gridColumn = MARKS - marks.length + index + 1));
	$("strip").replaceChildren(...lanes);
	drawLegend(counts.join(", "));
}

function drawLegend(counts) {
	const colours = new Map(marks.map((mark) => [hasFailed(mark) ? "failed" : mark.version, mark.element.classList[1]]));
	const labels = [...colours].map(([label, className]) => make("span", {}, make("i", { className }), label));
	$("legend").replaceChildren(...labels, make("span", {}, `the last ${MARKS} requests, newest on the right`));
	$("strip").ariaLabel = `The last ${marks.length} requests: ${counts}. Versions: ${[...colours.keys()]}.`;
}

function drawFigures() {
	const recent = marks.filter((mark) => mark.at > Date.now() - RECENT);
	const span = Math.max(1000, Math.min(RECENT, Date.now() - marks[0].at));
	const times = marks.filter((mark) => mark.status).map((mark) => mark.ms).sort((a, b) => a - b);
	const p95 = times[Math.ceil(times.length * 0.95) - 1];
	const failed = marks.filter(hasFailed).length;
	write($("rate"), ((recent.length * 1000) / span).toFixed(1));
	write($("p95"), p95?.toFixed(p95 < 10 ? 1 : 0) ?? "–");
	write($("failed"), failed, failed);
	write($("of"), `of ${marks.length}`);
	write($("replicas"), current().size || "–");
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
	write($("story"), story(), live.lost || live.away);
}

function story() {
	const { change, root } = live;
	if (live.lost) return `No answer since ${clock(live.lost)}. Trying again. Nothing that you typed is lost.`;
	if (live.away) return `The database has been down since ${clock(live.away)}. What you save is sent when it is back.`;
	if (live.news) return live.news;
	if (change) {
		const cost = change.failed ? `${change.failed} of the requests failed.` : "No request failed.";
		const [what, at] = change.done ? ["took", ` at ${clock(change.at)}`] : ["is taking", ""];
		const saved = root?.receipt && root.version === live.settled ? ` ${root.receipt}.` : "";
		return `${change.to} ${what} over from ${change.from}${at}. ${cost}${saved}`;
	}
	if (!root) return "One moment.";
	return root.environment === "production"
		? "Each mark is a request from this page."
		: "Save a file in service/ and watch the version change. No request fails.";
}

// ---- Polls

/** Poll `GET /` forever. */
async function poll() {
	for (;;) {
		await untilSeen();
		const at = Date.now();
		const answer = await ask("/", { headers: { "x-poll": "1" }, timeout: 5000 }).catch(() => null);
		if (answer?.status === 200) answered(answer.data);
		else if (++live.misses > 1) live.lost ||= at;
		tell();
		live.pace = Math.min(live.pace * 1.15, SLOWEST_POLL);
		await pause(live.pace);
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
	if (live.lost) reconnect(); // a stream may be dead without an error
	Object.assign(live, { root, misses: 0, lost: 0, away: away ? live.away || Date.now() : 0 });
	write($("database"), away ? "down" : `PostgreSQL ${root.database.version}`, away);
}

poll();
