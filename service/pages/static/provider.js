/** The identity provider, as the service names it in the page, and what it says about itself. */

const { content, dataset } = document.querySelector("meta[name=identity]");

export const ISSUER = content.startsWith("/") ? location.origin + content : content;
export const CLIENT = dataset.client;
export const SCOPES = ["openid", "email", "profile", "groups"];

export const LIMIT = 15_000; // ms, for an answer of the provider

/** Read its endpoints (OpenID Connect Discovery 1.0). The text of an error is for people. */
export async function discover() {
	const address = `${ISSUER.replace(/\/$/, "")}/.well-known/openid-configuration`;
	const answer = await fetch(address, { credentials: "omit", signal: AbortSignal.timeout(LIMIT) }).catch(() => null);
	const found = answer?.ok && (await answer.json().catch(() => null));
	if (!found) throw new Error(`The identity provider ${ISSUER} does not answer${answer ? ` (status ${answer.status})` : ""}. Try again in a moment.`);
	// Section 4.3: otherwise it speaks for somebody else, or this page has another address than it should.
	if (found.issuer !== ISSUER) throw new Error(`The identity provider ${ISSUER} calls itself ${found.issuer}: open this page at that address, or correct SERVICE_IDENTITY_ISSUER.`);
	return found;
}
