"use strict";
const at = (id) => document.getElementById(id);
const TOKEN = "colintern-token";
const NO_MAP = "none", WHOLE = "whole";
let searched = null;   // {query, k} of the results that are shown
let found = [];        // their hits
let asking = null;     // AbortController of the search under way
let opened = null;     // AbortController of the picture under way
let opener = null;     // the button that has opened the page

class Refused extends Error {
  constructor(status, words) { super(words); this.status = status; }
}

async function call(path, options = {}) {
  const headers = {...options.headers};
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.Authorization = "Bearer " + token;
  const answer = await fetch(path, {...options, headers});
  if (answer.ok) return answer;
  let words = "The server answered " + answer.status;
  try { words = (await answer.json()).error || words; } catch { /* no JSON: the status is told */ }
  if (answer.status === 401) {
    sessionStorage.removeItem(TOKEN);
    at("token-form").hidden = false;
    at("token").focus();
  }
  if (answer.status === 503) words = "The server is busy. Try again in a moment.";
  throw new Refused(answer.status, words);
}

const pictures = new Map();  // path -> address of the picture, for as long as results are shown

async function picture(path, signal) {
  if (!pictures.has(path)) {
    const blob = await (await call(path, {signal})).blob();
    pictures.set(path, URL.createObjectURL(blob));
  }
  return pictures.get(path);
}

function forgetPictures() {
  for (const address of pictures.values()) URL.revokeObjectURL(address);
  pictures.clear();
}

function say(words, isError = false, where = "status") {
  at(where).textContent = words;
  at(where).classList.toggle("error", isError);
}

function wordsOf(error) {
  return error instanceof Refused ? error.message : "The server does not answer. Is it running?";
}

function addressOf(query, k, page) {
  const values = new URLSearchParams({q: query, k: String(k)});
  if (page) values.set("page", page);
  return "/?" + values;
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

async function search(query, k) {
  if (asking) asking.abort();
  const own = asking = new AbortController();
  say("Searching …");
  at("hits").setAttribute("aria-busy", "true");
  try {
    const answer = await call("/search", {
      method: "POST", headers: {"Content-Type": "application/json"},
      body: JSON.stringify({query, k}), signal: own.signal,
    });
    const body = await answer.json();
    if (own !== asking) return false;
    searched = {query, k};
    found = body.hits;
    show(body);
    return true;
  } catch (error) {
    if (own !== asking) return false;
    clear();
    say(wordsOf(error), true);
    return false;
  } finally {
    if (own === asking) at("hits").removeAttribute("aria-busy");
  }
}

function clear() {
  searched = null;
  found = [];
  forgetPictures();
  at("hits").replaceChildren();
  at("share").hidden = true;
}

function show(body) {
  forgetPictures();
  const pages = found.length === 1 ? "The best page" : `The ${found.length} best pages`;
  say(found.length ? `${pages} of ${body.dataset}, by round ${body.round}.`
    : `${body.dataset} has no pages.`);
  at("share").hidden = false;
  at("share").textContent = "Copy the address";
  at("hits").replaceChildren(...found.map(card));
}

function card(hit) {
  const item = element("li"), button = element("button", "hit"), box = element("span", "picture");
  const told = element("span", "told"), score = element("span", "score");
  button.type = "button";
  button.dataset.page = hit.page_id;
  score.append(element("b", "rank", String(hit.rank)), " \u00b7 score " + hit.score.toFixed(4));
  told.append(score, element("span", "name", hit.page_id));
  score.firstChild.setAttribute("aria-label", "rank " + hit.rank);
  if (hit.doc_id && hit.doc_id !== hit.page_id) told.append(element("span", "doc", hit.doc_id));
  button.append(box, told);
  button.addEventListener("click", () => {
    history.pushState(null, "", addressOf(searched.query, searched.k, hit.page_id));
    openPage(hit);
  });
  item.append(button);
  fill(box, hit, asking.signal);
  return item;
}

async function fill(box, hit, signal) {
  try {
    const image = element("img");
    image.alt = "";
    image.src = await picture(`/page?${new URLSearchParams({id: hit.page_id, width: "360"})}`, signal);
    box.replaceChildren(image);
  } catch (error) {
    if (error.name !== "AbortError") box.textContent = "no picture";
  }
}

function openPage(hit) {
  opener = [...document.querySelectorAll(".hit")].find((one) => one.dataset.page === hit.page_id);
  at("page-name").textContent = hit.page_id;
  at("page-score").textContent = `rank ${hit.rank} \u00b7 score ${hit.score.toFixed(4)}`;
  const words = searched.query.trim().split(/\s+/);
  const choices = [[WHOLE, "the whole question"]];
  if (words.length > 1) words.forEach((word, number) => choices.push([String(number + 1), word]));
  choices.push([NO_MAP, "no colours"]);
  at("words").replaceChildren(at("words").firstElementChild, ...choices.map((one) => choice(hit, ...one)));
  if (!at("page").open) at("page").showModal();
  at("words").querySelector("input").focus();
  paint(hit, WHOLE);
}

function choice(hit, value, text) {
  const label = element("label", "choice"), input = element("input");
  input.type = "radio";
  input.name = "word";
  input.value = value;
  input.checked = value === WHOLE;
  input.addEventListener("change", () => paint(hit, value));
  label.append(input, element("span", "", text));
  return label;
}

async function paint(hit, word) {
  if (opened) opened.abort();
  const own = opened = new AbortController();
  say("Drawing …", false, "page-note");
  const values = new URLSearchParams({id: hit.page_id});
  if (word !== NO_MAP) values.set("query", searched.query);
  if (word !== NO_MAP && word !== WHOLE) values.set("word", word);
  try {
    const source = await picture((word === NO_MAP ? "/page?" : "/heatmap?") + values, own.signal);
    if (own !== opened) return;
    at("large").src = source;
    at("large").alt = word === NO_MAP ? "The page" : "The page with its heat map";
    at("large").hidden = false;
    const legend = "Red fits best, yellow less. Colours of two pages cannot be compared.";
    say(word === NO_MAP ? "" : legend, false, "page-note");
  } catch (error) {
    if (own !== opened) return;
    at("large").hidden = true;
    say(wordsOf(error), true, "page-note");
  }
}

function closePage() {
  if (opened) opened.abort();
  opened = null;
  at("large").hidden = true;
  at("large").removeAttribute("src");
  if (opener && opener.isConnected) opener.focus();
}

async function fromAddress() {
  const values = new URLSearchParams(location.search), query = values.get("q") || "";
  const wanted = Number(values.get("k"));
  const k = [...at("k").options].some((one) => Number(one.value) === wanted) ? wanted : 10;
  at("query").value = query;
  at("k").value = String(k);
  document.title = query ? `${query} \u00b7 ColIntern` : "ColIntern search";
  if (!query.trim()) {
    if (asking) asking.abort();
    asking = null;
    if (at("page").open) at("page").close();
    clear();
    say("Ask a question to find the pages that answer it.");
    return;
  }
  const isShown = searched && searched.query === query && searched.k === k;
  if (!isShown && !(await search(query, k))) return;
  const hit = found.find((one) => one.page_id === values.get("page"));
  if (hit) openPage(hit);
  else if (at("page").open) at("page").close();
}

at("search-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const query = at("query").value, k = Number(at("k").value);
  if (!query.trim()) return say("Ask a question in a few words.", true);
  history.pushState(null, "", addressOf(query, k));
  searched = null;  // the same question is asked again
  fromAddress();
});
at("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, at("token").value.trim());
  at("token").value = "";
  at("token-form").hidden = true;
  at("query").focus();
  searched = null;
  fromAddress();
});
at("share").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    at("share").textContent = "Copied";
  } catch {
    at("share").textContent = "Copy it from the address bar";
  }
});
at("close").addEventListener("click", () => at("page").close());
at("page").addEventListener("click", (event) => { if (event.target === at("page")) at("page").close(); });
at("page").addEventListener("close", () => {
  closePage();
  if (searched && new URLSearchParams(location.search).has("page")) {
    history.pushState(null, "", addressOf(searched.query, searched.k));
  }
});
addEventListener("popstate", fromAddress);
fromAddress();
