// A webhook receiver as a customer writes one: verifies with npm's standardwebhooks, answers 204 or 401.
// Says on standard output: its port, then for each post what it read out of it, or why it refused it.
"use strict";

const http = require("node:http");
const { Webhook } = require("standardwebhooks");

const webhook = new Webhook(process.env.SECRET);

const server = http.createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    let told;
    try {
      const payload = webhook.verify(Buffer.concat(parts), request.headers);
      response.statusCode = 204;
      told = { id: request.headers["webhook-id"], payload };
    } catch (error) {
      response.statusCode = 401;
      told = { refused: error.message };
    }
    process.stdout.write(JSON.stringify(told) + "\n", () => response.end());
  });
});
server.listen(0, "127.0.0.1", () => process.stdout.write(server.address().port + "\n"));
