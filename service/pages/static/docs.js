"use strict";

const docs = document.getElementById("docs");

/** Add what keyboards and screen readers need and Swagger UI leaves out. */
function complete() {
	for (const button of docs.querySelectorAll(".copy-to-clipboard button")) button.ariaLabel = "Copy";
	for (const button of docs.querySelectorAll(".close-modal")) button.ariaLabel = "Close the window";
	for (const answer of docs.querySelectorAll(".microlight")) answer.tabIndex = 0; // it scrolls
	// Each of these links is inside a button that does the same.
	for (const link of docs.querySelectorAll(".opblock-summary-control a")) link.removeAttribute("href");
}

new MutationObserver(complete).observe(docs, { childList: true, subtree: true });

function show(options) {
	// The validator would send requests to another host, and code highlighting would use its own colours.
	return SwaggerUIBundle({
		url: "/openapi.json",
		dom_id: "#docs",
		deepLinking: true,
		validatorUrl: null,
		syntaxHighlight: false,
		...options,
	});
}

/** Let the Authorize button lead to the identity provider. */
async function showForUsers() {
	const { CLIENT, SCOPES, discover } = await import("/static/provider.js");
	const provider = await discover().catch(console.warn); // without it, a token can still be pasted
	/** Swagger UI's page for the way back does not know openIdConnect, only this. */
	function adapt(description) {
		const { securitySchemes: schemes } = description.components;
		const { authorization_endpoint: authorizationUrl, token_endpoint: tokenUrl } = provider ?? {};
		const scopes = Object.fromEntries(SCOPES.map((scope) => [scope, ""]));
		if (provider) schemes["sign-in"] = { type: "oauth2", flows: { authorizationCode: { authorizationUrl, tokenUrl, scopes } } };
		else delete schemes["sign-in"];
		return description;
	}
	const plugin = { statePlugins: { spec: { wrapActions: { updateJsonSpec: (update) => (description) => update(adapt(description)) } } } };
	const oauth2RedirectUrl = `${location.origin}/static/oauth2-redirect.html`;
	show({ plugins: [() => plugin], oauth2RedirectUrl }).initOAuth({ clientId: CLIENT, scopes: SCOPES, usePkceWithAuthorizationCodeGrant: true });
}

if (document.querySelector("meta[name=identity]")) showForUsers();
else show();
