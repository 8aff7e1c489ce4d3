// Turns the text of `?text=` into what an address can hold: "Hello, World!" into "hello-world".

addEventListener("fetch", (event) => event.respondWith(answer(event.request)));

function answer(request) {
  const text = new URL(request.url).searchParams.get("text");
  if (text === null) {
    return reply(400, { error: "give a text: /?text=..." });
  }
  return reply(200, { text, slug: slug(text) });
}

function slug(text) {
  return text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
}

function reply(status, value) {
  const headers = { "content-type": "application/json" };
  return new Response(JSON.stringify(value) + "\n", { status, headers });
}
