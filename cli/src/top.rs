//! `pathweave top`: paths and connections of this site, each second anew, with keys to take a path
//! out of use and back. [`model`] knows and decides, [`draw`] shows it, [`fetch`] asks the daemon;
//! here the terminal is read and written.

mod columns;
mod connections;
mod draw;
mod fetch;
mod history;
mod model;
mod theme;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::ascii;
use crate::client::Client;
use crate::failure::Failure;
use crate::style::Style;
use fetch::Fetcher;
use model::{Key, Model, Next};
use theme::Theme;

/// News and signals are looked for so often; nothing is drawn without them.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) fn top(client: &Client, json: bool) -> Result<(), Failure> {
    if json || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::Other(
            "top needs a terminal: use `pathweave status --watch`, with --json for programs"
                .to_owned(),
        ));
    }
    // A daemon that is not there is told of in the ordinary way.
    client.status()?;
    let ended = Arc::new(AtomicBool::new(false));
    // A terminal that is gone needs no restoring: SIGHUP ends the program at once.
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, ended.clone()).map_err(|error| broken(&error))?;
    }
    let utf8 = ascii::is_utf8(|name| std::env::var(name).ok());
    let theme = Theme::new(Style::of_stdout(), utf8);
    let fetcher = Fetcher::start(client.clone()).map_err(|error| broken(&error))?;
    // Restored also when this program panics.
    let mut terminal = ratatui::try_init().map_err(|error| broken(&error))?;
    let result = run(&mut terminal, &fetcher, theme, &ended);
    ratatui::try_restore().map_err(|error| broken(&error))?;
    result.map_err(|error| broken(&error))
}

fn run(
    terminal: &mut DefaultTerminal,
    fetcher: &Fetcher,
    theme: Theme,
    ended: &AtomicBool,
) -> io::Result<()> {
    let mut model = Model::default();
    let mut stale = true;
    while !ended.load(Relaxed) {
        if stale {
            terminal.draw(|frame| draw::draw(&model, theme, frame))?;
        }
        stale = event::poll(LOOK)?;
        if stale && let Some(key) = key(&event::read()?) {
            match model.handle_key(key) {
                Next::Stay => {}
                Next::Quit => break,
                Next::Ask(wish) => fetcher.ask(wish),
            }
        }
        while let Some(news) = fetcher.next() {
            model.handle_news(news);
            stale = true;
        }
    }
    Ok(())
}

/// `None` for what means nothing here; the screen is drawn anew all the same, as when it was resized.
fn key(event: &Event) -> Option<Key> {
    let Event::Key(KeyEvent {
        code,
        modifiers,
        kind: KeyEventKind::Press | KeyEventKind::Repeat,
        ..
    }) = event
    else {
        return None;
    };
    let control = modifiers.contains(KeyModifiers::CONTROL);
    #[expect(clippy::wildcard_enum_match_arm, reason = "there are many keys")]
    match code {
        KeyCode::Char('c') if control => Some(Key::Quit),
        KeyCode::Char('q') => Some(Key::Quit),
        KeyCode::Up | KeyCode::Char('k') => Some(Key::Previous),
        KeyCode::Down | KeyCode::Char('j') => Some(Key::Following),
        KeyCode::PageUp => Some(Key::PageBack),
        KeyCode::PageDown => Some(Key::PageOn),
        KeyCode::Char('d') => Some(Key::TakeDown),
        KeyCode::Char('u') => Some(Key::BringUp),
        KeyCode::Char('y') => Some(Key::Yes),
        KeyCode::Char('n') | KeyCode::Esc => Some(Key::No),
        _ => None,
    }
}

fn broken(error: &io::Error) -> Failure {
    Failure::Other(format!("the terminal cannot be used: {error}"))
}
