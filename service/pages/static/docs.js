"use strict";

const docs = document.getElementById("docs");

/** Add what keyboards and screen readers need and Swagger UI leaves out. */
function complete() {
	for (const button of docs.querySelectorAll(".copy-to-clipboard button")) button.ariaLabel = "Copy";
	for (const answer of docs.querySelectorAll(".microlight")) answer.tabIndex = 0; // it scrolls
	// Each of these links is inside a button that does the same.
	for (const link of docs.querySelectorAll(".opblock-summary-control a")) link.removeAttribute("href");
}

new MutationObserver(complete).observe(docs, { childList: true, subtree: true });

// The validator would send requests to another host, and code highlighting would use its own colours.
SwaggerUIBundle({
	url: "/openapi.json",
	dom_id: "#docs",
	deepLinking: true,
	validatorUrl: null,
	syntaxHighlight: false,
});
