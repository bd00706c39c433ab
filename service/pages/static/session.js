/**
 * Users: sign-in, sign-out, and the token of each request. The page has this module only if there are users.
 *
 * The page is a public client of OpenID Connect: authorization code with PKCE (RFC 7636). Its tokens are in
 * sessionStorage, so they belong to one tab and end with it. There is no cookie, so no other site can use them. Whether
 * a token is valid, the gateway decides; what is read from it here is only shown.
 */

import { $, announce, session, write } from "./client.js";
import { CLIENT, discover, ISSUER, LIMIT, SCOPES } from "./provider.js";

const TOKENS = "session.tokens"; // as the provider sent them
const BEGUN = "session.begun"; // a sign-in: its state and its verifier
const TYPED = "session.typed"; // what parts keep during a sign-in, and whose it is

const ENDED = "Your session has ended. What you typed stays here while you sign in again.";
const OUT = "What is here belongs to users. Sign in to see what is yours.";
const INSECURE = "Signing in needs https, or the host localhost: only there browsers offer the cryptography for it. Open this page at such an address.";

const { documentElement: page } = document;
const savers = new Map(); // of the parts that are shown, by name
const redirect = `${location.origin}/`;

const stored = (name) => JSON.parse(sessionStorage.getItem(name));
const store = (name, value) => (value ? sessionStorage.setItem(name, JSON.stringify(value)) : sessionStorage.removeItem(name));

// ---- Requests

/**
 * Send a request as the user. After a 401 the refresh token is tried once; what cannot be sent as the user is answered
 * with 401 here, and is no mark on the strip.
 */
session.fetch = async (path, options) => {
	await ready;
	const headers = new Headers(options.headers);
	const asUser = ({ access_token: token }) => {
		headers.set("authorization", `Bearer ${token}`);
		return fetch(path, { ...options, headers });
	};
	const used = stored(TOKENS);
	let answer = used && (await asUser(used));
	if (answer?.status === 401) {
		const newer = await renew(used).catch((error) => {
			if (path !== "/") throw error; // the provider does not answer: it is worth another attempt
		});
		answer = newer && (await asUser(newer));
		if (answer?.status === 401) end();
	}
	if (answer && answer.status !== 401) return answer;
	if (path === "/") return fetch(path, options); // everybody may know whether the service answers
	const body = JSON.stringify({ detail: "You are not signed in any more. Sign in again: your text is kept, and can be sent then." });
	return new Response(body, { status: 401, headers: { "content-type": "application/problem+json" } });
};

/** Ask the provider for tokens. The result is null if it refuses; an error means that it does not answer. */
async function request(parameters) {
	const { token_endpoint: address } = await discover();
	const body = new URLSearchParams({ client_id: CLIENT, ...parameters });
	const answer = await fetch(address, { method: "POST", body, credentials: "omit", signal: AbortSignal.timeout(LIMIT) }).catch(() => null);
	if (answer?.ok) return answer.json();
	if ([400, 401, 403].includes(answer?.status)) return null;
	throw new Error(`The identity provider ${ISSUER} gives no token${answer ? ` (status ${answer.status})` : ""}. Try again in a moment.`);
}

let renewing;

/** Newer tokens than those that were refused; null if the session has ended. Requests of one moment share them. */
async function renew(used) {
	const now = stored(TOKENS);
	if (now?.access_token !== used.access_token) return now; // another request was first
	renewing ??= renewed(used).finally(() => (renewing = null));
	return renewing;
}

async function renewed({ refresh_token, ...used }) {
	const newer = refresh_token && (await request({ grant_type: "refresh_token", refresh_token }));
	if (!newer) return end();
	const tokens = { refresh_token, ...used, ...newer };
	if (stored(TOKENS)) store(TOKENS, tokens); // unless somebody has signed out meanwhile
	return stored(TOKENS);
}

function end() {
	store(TOKENS, null);
	if (page.dataset.user === "in") show("ended", ENDED);
	return null;
}

// ---- Sign-in

const base64url = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/[+/=]/g, (sign) => ({ "+": "-", "/": "_" })[sign] ?? "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

async function signIn() {
	const { authorization_endpoint: address } = await discover();
	const begun = { state: random(), verifier: random() };
	const challenge = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(begun.verifier));
	store(BEGUN, begun);
	// Without a part on the page, what is stored is of an attempt before this one.
	if (savers.size) store(TYPED, { user: whose, parts: Object.fromEntries([...savers].map(([name, save]) => [name, save()])) });
	const target = new URL(address);
	for (const [name, value] of Object.entries({
		response_type: "code",
		client_id: CLIENT,
		redirect_uri: redirect,
		scope: [...SCOPES, "offline_access"].join(" "),
		state: begun.state,
		code_challenge: base64url(challenge),
		code_challenge_method: "S256",
	})) {
		target.searchParams.set(name, value);
	}
	location.assign(target);
}

/** Handle what the provider has sent back in the address. Nothing of it stays there. */
async function arrive() {
	const answer = new URLSearchParams(location.search);
	if (!answer.has("state")) return;
	history.replaceState(null, "", location.pathname);
	const begun = stored(BEGUN);
	store(BEGUN, null);
	if (begun?.state !== answer.get("state")) throw new Error("That sign-in did not begin in this tab, so it does not count. Sign in again.");
	if (answer.has("error")) {
		const reason = [answer.get("error"), answer.get("error_description")].filter(Boolean).join(": ");
		throw new Error(`You are not signed in. The identity provider says: ${reason}.`);
	}
	const tokens = await request({ grant_type: "authorization_code", code: answer.get("code"), redirect_uri: redirect, code_verifier: begun.verifier });
	if (!tokens) throw new Error("The identity provider has refused this sign-in, perhaps because it took too long. Sign in again.");
	store(TOKENS, tokens);
}

/** Forget the user here, and tell the provider, as far as it wants to know. */
async function signOut() {
	const { refresh_token: token } = stored(TOKENS) ?? {};
	for (const name of [TOKENS, TYPED]) store(name, null);
	show("out", "You are signed out.");
	const provider = await discover().catch(() => ({}));
	const { revocation_endpoint: revocation, end_session_endpoint: farewell } = provider;
	const body = new URLSearchParams({ client_id: CLIENT, token });
	if (revocation && token) await fetch(revocation, { method: "POST", body, credentials: "omit", signal: AbortSignal.timeout(LIMIT) }).catch(() => {});
	location.replace(farewell ? `${farewell}?${new URLSearchParams({ client_id: CLIENT, post_logout_redirect_uri: redirect })}` : "/");
}

// ---- What is shown

/** The claims of a token; none if it is not a JWT. */
function claims(token) {
	try {
		const bytes = atob(token.split(".")[1].replace(/[-_]/g, (sign) => ({ "-": "+", _: "/" })[sign]));
		return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0))));
	} catch {
		return {};
	}
}

function show(state, text, bad) {
	page.dataset.user = state;
	$("sign-out").hidden = state !== "in";
	for (const element of [$("gate-title"), $("sign-in")]) write(element, state === "ended" ? "Sign in again" : "Sign in");
	$("sign-in").hidden = !crypto.subtle;
	write($("gate-text"), crypto.subtle ? text : INSECURE, bad);
	if (state === "ended") announce(text);
}

/** Show that nobody is signed in, and why. */
function stayOut(text, bad) {
	const ended = page.dataset.user === "ended";
	show(ended ? "ended" : "out", stored(TYPED) && !ended ? `${text} What you typed is kept.` : text, bad);
}

const refused = ({ message }) => stored(TOKENS) ? announce(message) : stayOut(message, true);

let whose; // the subject of the token
let typed = stored(TYPED);

function begin() {
	const tokens = stored(TOKENS);
	if (!tokens) return page.dataset.user ?? stayOut(OUT);
	const { sub, name, email, groups = [] } = { ...claims(tokens.access_token), ...claims(tokens.id_token ?? "") };
	whose = sub;
	if (typed?.user !== whose) typed = null; // the text of somebody else
	store(TYPED, null);
	write($("user-name"), name ?? email ?? sub ?? "Signed in");
	$("user-role").hidden = ![groups].flat().includes("admin");
	show("in", "");
	if (typed) announce("You are signed in again, and what you typed is back.");
}

/** Keep what is typed in a part while the page is left: save() returns it as JSON, restore() gets it back. */
session.keep = async (name, save, restore) => {
	await ready;
	if (page.dataset.user !== "in") return;
	savers.set(name, save);
	if (typed?.parts[name]) restore(typed.parts[name]);
};

/** What a command for curl needs. */
session.curl = ' --oauth2-bearer "$TOKEN"';

$("sign-in").onclick = () => signIn().catch(refused);
$("sign-out").onclick = signOut;

const ready = arrive().catch(refused).then(begin);
