"use strict";

// No validator: it would ask another host. No code highlighting: it would bring colours of its own.
SwaggerUIBundle({
	url: "/openapi.json",
	dom_id: "#docs",
	deepLinking: true,
	validatorUrl: null,
	syntaxHighlight: false,
});
