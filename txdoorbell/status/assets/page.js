// Keeps the page up to date, and sends what whoever holds the token asks for.
"use strict";

const root = document.documentElement;
const lost = document.getElementById("lost");
const pace = document.getElementById("pace");
const said = document.getElementById("said");
const SILENCE = 5000; // Milliseconds without news after which the process is taken for lost.
const RETRY = 1000;

root.dataset.script = "yes";

// -- bringing what is shown up to date: in place, so that focus, input and open details stay

function key(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.id || node.getAttribute("data-key") : null;
}

function alike(one, other) {
  return one.nodeName === other.nodeName && key(one) === key(other);
}

function morph(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  morphAttributes(old, fresh);
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    let found = place;
    while (found && !alike(found, wanted)) found = key(wanted) ? found.nextSibling : null;
    if (found === null) {
      old.insertBefore(document.importNode(wanted, true), place);
    } else {
      if (found === place) place = place.nextSibling;
      else old.insertBefore(found, place);
      morph(found, wanted);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function morphAttributes(old, fresh) {
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
}

// -- news from the process

let source = null;
let silence = 0;
let retry = 0;
let since = null;

function show(event) {
  const news = JSON.parse(event.data);
  const fresh = new DOMParser().parseFromString(news.html, "text/html").getElementById("live");
  morph(document.getElementById("live"), fresh);
  pace.textContent = `live, as of ${news.at}`;
  since = news.at;
  root.dataset.live = "yes";
  lost.hidden = true;
  listenForSilence();
}

function listenForSilence() {
  clearTimeout(silence);
  silence = setTimeout(() => {
    mourn();
    connect();
  }, SILENCE);
}

function mourn() {
  root.dataset.live = "no";
  const text = `No connection to the process. What is shown is ${since ? `of ${since}` : "old"}.`;
  if (lost.hidden || lost.textContent !== text) lost.textContent = text;
  lost.hidden = false;
  pace.textContent = "not live";
}

function connect() {
  disconnect();
  source = new EventSource("events");
  source.onmessage = show;
  source.onerror = () => {
    mourn();
    disconnect();
    retry = setTimeout(connect, RETRY);
  };
  listenForSilence();
}

function disconnect() {
  clearTimeout(retry);
  clearTimeout(silence);
  if (source) source.close();
  source = null;
}

// Nobody looks at a hidden page: the process need not tell it anything.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) disconnect();
  else connect();
});
addEventListener("pagehide", disconnect);
connect();

// -- acting; the token stays in this tab, and goes nowhere but into the header

const TOKEN = "txdoorbell-token";
const login = document.getElementById("login");

function hold(token) {
  if (token) {
    sessionStorage.setItem(TOKEN, token);
    root.dataset.holder = "yes";
  } else {
    sessionStorage.removeItem(TOKEN);
    delete root.dataset.holder;
  }
}

let quiet = 0;

function say(text, kind) {
  said.dataset.kind = kind;
  said.textContent = text;
  clearTimeout(quiet);
  quiet = setTimeout(() => { said.textContent = ""; }, 4000);
}

async function post(action, body, token) {
  try {
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await fetch(action, { method: "POST", headers, body, redirect: "error" });
    const text = (await answer.text()).trim();
    say(text, answer.ok ? "good" : "bad");
    return answer.ok;
  } catch {
    say("The process could not be reached.", "bad");
    return false;
  }
}

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const action = form.getAttribute("action");
  if (form === login) {
    const token = login.elements.token.value;
    login.elements.token.value = "";
    if (await post(action, new URLSearchParams(), token)) hold(token);
  } else {
    await post(action, new URLSearchParams(new FormData(form)), sessionStorage.getItem(TOKEN));
  }
});

if (login) {
  login.querySelector(".leave").addEventListener("click", () => hold(null));
  if (sessionStorage.getItem(TOKEN)) hold(sessionStorage.getItem(TOKEN));
}
