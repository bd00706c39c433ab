"use strict";

const docs = document.getElementById("docs");

/** What Swagger UI leaves out for keyboards and screen readers. */
function complete() {
	for (const button of docs.querySelectorAll(".copy-to-clipboard button")) button.ariaLabel = "Copy";
	for (const answer of docs.querySelectorAll(".microlight")) answer.tabIndex = 0; // it scrolls
	// The button around each of these links does the same.
	for (const link of docs.querySelectorAll(".opblock-summary-control a")) link.removeAttribute("href");
}

new MutationObserver(complete).observe(docs, { childList: true, subtree: true });

// No validator: it would ask another host. No code highlighting: it would bring colours of its own.
SwaggerUIBundle({
	url: "/openapi.json",
	dom_id: "#docs",
	deepLinking: true,
	validatorUrl: null,
	syntaxHighlight: false,
});
