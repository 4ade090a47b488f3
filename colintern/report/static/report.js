"use strict";
// What is in the page of a report moves by this script; it asks nothing of any server.
(() => {
  const content = JSON.parse(document.getElementById("content").textContent);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  // Pictures: each stands once in the page, however often it is shown.

  for (const button of all("[data-picture]")) {
    button.firstElementChild.src = content.pictures[button.dataset.picture];
  }

  // Heat maps: regions that a word of the question matched.

  const MARK = getComputedStyle(document.documentElement).getPropertyValue("--mark");

  function draw(canvas, heat, word) {
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, canvas.width, canvas.height);
    if (word === null) return;
    const values = atob(heat.words[word]);
    const columns = heat.x.length - 1;
    for (let region = 0; region < values.length; region++) {
      const row = Math.floor(region / columns), column = region % columns;
      const left = heat.x[column] * canvas.width, top = heat.y[row] * canvas.height;
      pen.fillStyle = `rgba(${MARK}, ${(values.charCodeAt(region) / 255) * 0.85})`;
      pen.fillRect(left, top, heat.x[column + 1] * canvas.width - left, heat.y[row + 1] * canvas.height - top);
    }
  }

  function overlay(picture, heat) {
    const canvas = make("canvas", { width: 640, height: 640 });
    canvas.setAttribute("aria-hidden", "true");
    picture.append(canvas);
    return (word) => draw(canvas, heat, word);
  }

  // Buttons for the words of a question; one that is pressed again is let go.
  function wordButtons(place, words, show, scoreOf = () => "") {
    const buttons = words.map((word, index) => {
      const button = make("button", { type: "button", textContent: word + scoreOf(index), dir: "auto" });
      button.setAttribute("aria-pressed", "false");
      button.onclick = () => {
        const isPressed = button.getAttribute("aria-pressed") === "true";
        buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button && !isPressed)));
        show(isPressed ? null : index);
      };
      return button;
    });
    place.replaceChildren(...buttons);
    return buttons;
  }

  const pressed = new Map(); // example to the index of its pressed word
  for (const example of all(".example")) {
    const heat = content.heat[example.dataset.example];
    const shown = all(".picture", example)
      .filter((picture) => heat.pages[picture.dataset.picture])
      .map((picture) => overlay(picture, heat.pages[picture.dataset.picture]));
    if (!shown.length) continue;
    wordButtons(example.querySelector(".chips"), heat.words, (word) => {
      pressed.set(example, word);
      shown.forEach((show) => show(word));
    });
  }

  // A page, large.

  const viewer = document.getElementById("viewer");
  document.getElementById("close").onclick = () => viewer.close();
  viewer.onclick = (event) => event.target === viewer && viewer.close();
  for (const picture of all(".picture")) {
    picture.onclick = () => {
      const image = picture.querySelector("img"), stage = viewer.querySelector(".stage");
      document.getElementById("viewed").textContent = image.alt;
      const width = Math.min(innerWidth * 0.9, Math.max(image.naturalWidth, 640));
      stage.style.maxWidth = `${width}px`;
      stage.replaceChildren(make("img", { src: image.src, alt: image.alt }));
      const example = picture.closest(".example"), chips = viewer.querySelector(".chips");
      const heat = example && content.heat[example.dataset.example];
      const own = heat && heat.pages[picture.dataset.picture];
      chips.replaceChildren();
      if (own) {
        const show = overlay(stage, own);
        const buttons = wordButtons(chips, heat.words, show, (word) => ` ${own.scores[word].toFixed(2)}`);
        const word = pressed.get(example) ?? null;
        if (word !== null) buttons[word].click();
      }
      viewer.showModal();
    };
  }

  // Every question.

  const OUTCOMES = ["won", "lost", "right", "wrong"];
  const CALLED = { won: "won", lost: "lost", right: "right before and after", wrong: "still wrong" };
  const TOLD = { won: "right page now first", lost: "right page no longer first", right: "right page first before and after", wrong: "right page not first" };
  const ROWS = 20;
  const table = document.getElementById("questions");

  function questions() {
    const sought = document.getElementById("sought"), more = document.getElementById("more");
    const chooser = document.getElementById("dataset");
    let data, outcome = null, sorted = null, isDown = false, limit = ROWS;

    const rank = (number) => (number >= data.not_found ? `> ${data.not_found - 1}` : String(number));
    const columns = () => [
      { title: "question", cell: (row) => row[1], kind: "words" },
      { title: "outcome", cell: (row) => row[2], kind: "words outcome" },
      ...data.columns.map((title, index) => ({
        title,
        cell: (row) => row[3][index],
        kind: index === data.after ? "now" : index === data.before ? "" : "extra",
      })),
      { title: "right pages", cell: (row) => row[4].join(", "), kind: "id" },
      { title: "found first", cell: (row) => row[5], kind: "id" },
    ];

    function choose() {
      data = content.tables.find((own) => own.dataset === chooser.value) || content.tables[0];
      sorted = null;
      head();
      outcomes();
      rows();
    }

    function head() {
      const cells = columns().map((column, index) => {
        const button = make("button", { type: "button", textContent: column.title });
        const cell = make("th", { className: column.kind, scope: "col" }, button);
        button.onclick = () => {
          isDown = sorted === index && !isDown;
          sorted = index;
          all("th", table.tHead).forEach((other) => other.removeAttribute("aria-sort"));
          cell.setAttribute("aria-sort", isDown ? "descending" : "ascending");
          rows();
        };
        return cell;
      });
      table.tHead.replaceChildren(make("tr", {}, ...cells));
    }

    function outcomes() {
      const count = (name) => data.rows.filter((row) => name === null || OUTCOMES[row[2]] === name).length;
      const buttons = [null, "won", "lost", "wrong", "right"].map((name) => {
        const title = `${name ? CALLED[name] : "all"} ${count(name).toLocaleString("en")}`;
        const button = make("button", { type: "button", textContent: title });
        button.setAttribute("aria-pressed", String(name === outcome));
        button.onclick = () => {
          outcome = name;
          outcomes();
          rows();
        };
        return button;
      });
      document.getElementById("outcomes").replaceChildren(...buttons);
    }

    function chosen() {
      const words = sought.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
      const found = data.rows.filter((row) => {
        if (outcome !== null && OUTCOMES[row[2]] !== outcome) return false;
        const text = [row[0], row[1], ...row[4], row[5]].join(" ").toLocaleLowerCase();
        return words.every((word) => text.includes(word));
      });
      if (sorted === null) return found;
      const cell = columns()[sorted].cell, sign = isDown ? -1 : 1;
      const order = (one, other) => (typeof one === "number" ? one - other : one.localeCompare(other, "en"));
      return found.sort((one, other) => sign * order(cell(one), cell(other)));
    }

    function rows(isMore = false) {
      limit = isMore ? limit + 4 * ROWS : ROWS;
      const found = chosen(), named = columns();
      table.tBodies[0].replaceChildren(
        ...found.slice(0, limit).map((row) => make("tr", {}, ...named.map((column) => cellOf(column, row)))),
      );
      const shown = Math.min(limit, found.length);
      document.getElementById("shown").textContent = `${shown.toLocaleString("en")} of ${found.length.toLocaleString("en")} questions`;
      more.hidden = shown === found.length;
    }

    function cellOf(column, row) {
      const value = column.cell(row), cell = make("td", { className: column.kind });
      if (column.kind === "words outcome") {
        cell.append(tag(value, ""));
      } else {
        cell.textContent = typeof value === "number" ? rank(value) : value;
        cell.dir = "auto";
      }
      if (column.kind === "words") cell.append(tag(row[2], "short")); // where there is no room for a column
      return cell;
    }

    function tag(value, kind) {
      const name = OUTCOMES[value], textContent = name === "wrong" ? "still wrong" : name;
      return make("span", { className: `tag ${name} ${kind}`, textContent, title: TOLD[name] });
    }

    chooser.onchange = choose;
    sought.oninput = () => rows();
    more.onclick = () => rows(true);
    choose();
  }
  if (table) questions();

  // Is this really wrong?

  const answers = new Map(); // the article of a pair to its line of the judgements file
  const download = document.getElementById("download");
  let isSaved = true;

  function judge(pair, button) {
    const isTaken = button.getAttribute("aria-pressed") === "true";
    all(".answers button", pair).forEach((other) => other.setAttribute("aria-pressed", String(other === button && !isTaken)));
    answers.delete(pair);
    if (!isTaken) {
      const { query, page } = pair.dataset;
      answers.set(pair, { dataset: content.train, query_id: query, page_id: page, score: Number(button.dataset.score) });
    }
    isSaved = answers.size === 0;
    download.disabled = answers.size === 0;
    document.getElementById("judged").textContent = `${answers.size} of ${all(".pair").length} judged`;
  }

  for (const pair of all(".pair")) {
    for (const button of all(".answers button", pair)) button.onclick = () => judge(pair, button);
  }
  if (download) {
    download.onclick = () => {
      const lines = [...answers.values()].map((answer) => JSON.stringify(answer) + "\n");
      const link = make("a", { href: URL.createObjectURL(new Blob(lines)), download: `judgements-${content.run}.jsonl` });
      link.click();
      URL.revokeObjectURL(link.href);
      isSaved = true;
    };
    addEventListener("beforeunload", (event) => isSaved || event.preventDefault());
  }
  const rest = document.getElementById("all-pairs");
  if (rest) {
    rest.onclick = () => {
      all(".pair[hidden]").forEach((pair) => (pair.hidden = false));
      rest.parentElement.remove();
    };
  }
})();
